"""Anthropic's Messages API, as far as the proxy must know it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import JsonValue

from grindstone.digest import digest
from grindstone.llm.asking import StreamedAnswer
from grindstone.llm.messages import Response
from grindstone.llm.service import Api
from grindstone.llm.wire import MessageStream
from grindstone.proxy.api import (
    Body,
    FirstWords,
    Heard,
    Said,
    held,
    listed,
    names,
    pieces,
    positive,
    sse,
    text_of,
)
from grindstone.proxy.identity import settled_text
from grindstone.records import ToolCall

_BILLING = "x-anthropic-billing-header"
"""Claude Code's first system block is none: it holds a checksum of the request."""


class _Answer(MessageStream):
    def response(self) -> Response:
        body = self.body()
        return held(
            body,
            stop_reason=str(body["stop_reason"]),
            usage=self.usage,
            model=str(body.get("model") or ""),
        )


class MessagesApi:
    """See `ProxiedApi`."""

    api = Api.MESSAGES

    def streamed(self, prompt_bytes: int) -> StreamedAnswer:
        """Return an empty answer."""
        return _Answer(prompt_bytes)

    def outgoing(self, body: Body) -> Body:
        """Return the request, streamed."""
        return body | {"stream": True}

    def most_tokens(self, body: Body) -> int | None:
        """Return max_tokens."""
        return positive(body.get("max_tokens"))

    def identity(self, body: Body) -> JsonValue:
        """Return the settled system prompt and conversation, and the tools' names."""
        return {
            "system": settled_text(_system(body)),
            "messages": [_settled(message) for message in listed(body.get("messages"))],
            "tools": names(tool.get("name") for tool in listed(body.get("tools") or [])),
            "format": json.dumps(body.get("output_config") or {}, sort_keys=True),
        }

    def opening(self, body: Body) -> FirstWords:
        """Return the system prompt and the first turn."""
        first = listed(body.get("messages"))[:1]
        return FirstWords(_system(body), text_of(first[0].get("content")) if first else "")

    def heard(self, body: Body) -> Sequence[Heard]:
        """Return the tool results of all turns."""
        return [
            Heard(
                str(block.get("tool_use_id")),
                text_of(block.get("content")),
                block.get("is_error") is True,
            )
            for message in listed(body.get("messages"))
            for block in _blocks(message)
            if block.get("type") == "tool_result"
        ]

    def said(self, answer: Body) -> Said:
        """Return text, thinking and tool uses."""
        blocks = listed(answer.get("content") or [])
        return Said(
            text="".join(str(b["text"]) for b in blocks if b.get("type") == "text"),
            reasoning="\n".join(str(b["thinking"]) for b in blocks if b.get("thinking")),
            calls=tuple(
                ToolCall(call_id=b["id"], name=b["name"], arguments=dict(b.get("input") or {}))
                for b in blocks
                if b.get("type") == "tool_use"
            ),
        )

    def events(self, answer: Body, asked: Body) -> Iterator[bytes]:
        """Yield message_start, the blocks with their deltas, and the end."""
        usage = answer.get("usage") or {}
        opening = answer | {"content": [], "stop_reason": None, "stop_sequence": None}
        yield _event({"type": "message_start", "message": opening})
        for index, block in enumerate(answer["content"]):
            empty, deltas = _apart(block)
            yield _event({"type": "content_block_start", "index": index, "content_block": empty})
            for delta in deltas:
                yield _event({"type": "content_block_delta", "index": index, "delta": delta})
            yield _event({"type": "content_block_stop", "index": index})
        ended = {name: answer.get(name) for name in ("stop_reason", "stop_sequence")}
        yield _event({"type": "message_delta", "delta": ended, "usage": usage})
        yield _event({"type": "message_stop"})

    def error(self, kind: str, message: str) -> Body:
        """Return an error's body."""
        return {"type": "error", "error": {"type": kind, "message": message}}

    def error_events(self, kind: str, message: str) -> Iterator[bytes]:
        """Yield an error event."""
        yield _event(self.error(kind, message))


def _event(data: Body) -> bytes:
    return sse(data, data["type"])


def _system(body: Body) -> str:
    system = body.get("system") or ""
    if isinstance(system, str):
        return system
    texts = (str(block.get("text") or "") for block in listed(system))
    return "\n".join(text for text in texts if not text.startswith(_BILLING))


def _blocks(message: Body) -> list[Body]:
    content = message.get("content")
    return listed(content) if isinstance(content, list) else []


def _settled(message: Body) -> JsonValue:
    own = message.get("role") == "assistant"
    content = message.get("content")
    if isinstance(content, str):
        return [str(message.get("role")), content if own else settled_text(content)]
    return [str(message.get("role")), *(_settled_block(block, own) for block in _blocks(message))]


def _settled_block(block: Body, own: bool) -> JsonValue:
    match block.get("type"):
        case "text":
            text = str(block.get("text") or "")
            return text if own else settled_text(text)
        case "tool_use":
            return {"id": str(block.get("id")), "input": digest(block.get("input") or {})}
        case "tool_result":
            return {"result": str(block.get("tool_use_id"))}
        case "thinking" | "redacted_thinking":
            return "thinking"  # a program may leave old ones out
        case kind:
            kept = {name: value for name, value in block.items() if name != "cache_control"}
            return {str(kind): digest(kept)}


def _apart(block: Body) -> tuple[Body, Iterator[Body]]:
    """Return a block as it begins, and what is added to it."""
    match block:
        case {"type": "text", "text": str(text)}:
            added = [{"type": "text_delta", "text": piece} for piece in pieces(text)]
            added += [
                {"type": "citations_delta", "citation": each}
                for each in block.get("citations") or ()
            ]
            return block | {"text": ""} | ({"citations": []} if "citations" in block else {}), iter(
                added
            )
        case {"type": "thinking", "thinking": str(text)}:
            added = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(text)]
            if signature := block.get("signature"):
                added.append({"type": "signature_delta", "signature": signature})
            return block | {"thinking": "", "signature": ""}, iter(added)
        case {"input": dict(given)}:
            text = json.dumps(given, ensure_ascii=False)
            return block | {"input": {}}, iter(
                [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
            )
        case _:
            nothing: list[dict[str, Any]] = []
            return block, iter(nothing)
