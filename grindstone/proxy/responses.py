"""OpenAI's Responses API, as far as the proxy must know it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import JsonValue

from grindstone.digest import digest
from grindstone.errors import Cause, InfrastructureError
from grindstone.llm.asking import StreamedAnswer
from grindstone.llm.chat_stream import usage_of
from grindstone.llm.faults import ServiceFault, error_in
from grindstone.llm.messages import Response
from grindstone.llm.service import Api
from grindstone.llm.told import guessed_by_size
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
from grindstone.proxy.chat import called, openai_error
from grindstone.proxy.identity import settled_text
from grindstone.records import ToolCall, Usage

_OUTPUTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
_ENDED = frozenset({"response.completed", "response.incomplete"})


class _Answer:
    """Keeps the last event's whole answer; services that leave its items out told them before."""

    def __init__(self, prompt_bytes: int) -> None:
        self._prompt_bytes = prompt_bytes
        self._items: dict[int, Body] = {}
        self._response: Body = {}
        self.complete = False
        self.usage = Usage()

    def add(self, event: Any) -> None:
        kind = event.get("type")
        if kind == "error":
            told = event if event.get("error") else {"error": event | {"type": ""}}
            raise ServiceFault(200, *error_in(told), {})
        try:
            if kind == "response.failed":
                raise ServiceFault(200, *error_in(event["response"]), {})
            if kind == "response.output_item.done":
                index = event.get("output_index")
                self._items[len(self._items) if index is None else int(index)] = event["item"]
            elif kind in _ENDED:
                self._response, self.complete = dict(event["response"]), True
                self.usage = usage_of(self._response.get("usage")) or guessed_by_size(
                    self._prompt_bytes, len(json.dumps(self._response.get("output") or []))
                )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InfrastructureError(
                Cause.MODEL_SERVER, f"an event of the stream is malformed: {error!r}"
            ) from error

    def response(self) -> Response:
        if not self.complete:
            raise InfrastructureError(
                Cause.MODEL_TRUNCATED, "the stream ended before the response was complete"
            )
        items = self._response.get("output") or [item for _, item in sorted(self._items.items())]
        body: Body = {"object": "response", "status": "completed", **self._response}
        body["output"] = items
        why = (body.get("incomplete_details") or {}).get("reason")
        calls = any(str(item.get("type")).endswith("_call") for item in items)
        stop = {None: "tool_use" if calls else "end_turn", "max_output_tokens": "max_tokens"}
        return held(
            body,
            stop_reason=stop.get(why, str(why)),
            usage=self.usage,
            model=str(body.get("model") or ""),
        )


class ResponsesApi:
    """See `ProxiedApi`."""

    api = Api.RESPONSES

    def streamed(self, prompt_bytes: int) -> StreamedAnswer:
        """Return an empty answer."""
        return _Answer(prompt_bytes)

    def outgoing(self, body: Body) -> Body:
        """Return the request, streamed."""
        return body | {"stream": True}

    def most_tokens(self, body: Body) -> int | None:
        """Return max_output_tokens."""
        return positive(body.get("max_output_tokens"))

    def identity(self, body: Body) -> JsonValue:
        """Return the settled instructions and items, and the tools' names."""
        return {
            "instructions": settled_text(str(body.get("instructions") or "")),
            "input": [_settled(item) for item in _items(body)],
            "tools": names(
                tool.get("name") or tool.get("type") for tool in listed(body.get("tools") or [])
            ),
        }

    def opening(self, body: Body) -> FirstWords:
        """Return the instructions and the user's messages before the first answer."""
        users: list[str] = []
        for item in _items(body):
            if item.get("role") == "assistant" or "call_id" in item:
                break
            if item.get("role") == "user":
                users.append(text_of(item.get("content")))
        return FirstWords(str(body.get("instructions") or ""), "\n\n".join(users))

    def heard(self, body: Body) -> Sequence[Heard]:
        """Return the outputs of calls."""
        return [
            Heard(str(item.get("call_id")), text_of(item.get("output")))
            for item in _items(body)
            if item.get("type") in _OUTPUTS
        ]

    def said(self, answer: Body) -> Said:
        """Return the messages' text, the reasoning's summary and the calls."""
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[ToolCall] = []
        for item in answer.get("output") or ():
            match item.get("type"):
                case "message":
                    texts.append(text_of(item.get("content")))
                case "reasoning":
                    thoughts.append(text_of(item.get("summary")))
                case "function_call":
                    calls.append(called(item["call_id"], item["name"], item["arguments"]))
                case "custom_tool_call":
                    calls.append(
                        ToolCall(
                            call_id=item["call_id"],
                            name=item["name"],
                            arguments={"input": item.get("input") or ""},
                        )
                    )
                case "local_shell_call":
                    calls.append(
                        ToolCall(
                            call_id=str(item.get("call_id")),
                            name="local_shell",
                            arguments=item.get("action") or {},
                        )
                    )
        return Said("\n".join(texts), "\n".join(filter(None, thoughts)), tuple(calls))

    def events(self, answer: Body, asked: Body) -> Iterator[bytes]:
        """Yield the response's beginning, its items with the deltas of their text, and its end."""
        begun = answer | {"status": "in_progress", "output": [], "usage": None}
        ended = "incomplete" if answer.get("status") == "incomplete" else "completed"
        every = (
            {"type": "response.created", "response": begun},
            *_item_events(answer),
            {"type": f"response.{ended}", "response": answer},
        )
        for number, data in enumerate(every):
            yield sse(data | {"sequence_number": number}, data["type"])

    def error(self, kind: str, message: str) -> Body:
        """Return an error's body."""
        return openai_error(kind, message)

    def error_events(self, kind: str, message: str) -> Iterator[bytes]:
        """Yield a failed response."""
        failed = {
            "id": "resp_failed",
            "object": "response",
            "status": "failed",
            "output": [],
            "error": {"code": kind, "message": message},
        }
        yield sse({"type": "response.failed", "response": failed}, "response.failed")


def _items(body: Body) -> list[Body]:
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return listed(given)


def _settled(item: Body) -> JsonValue:
    kind = item.get("type") or "message"
    if kind in _OUTPUTS:
        return {"result": str(item.get("call_id"))}
    if kind == "reasoning":
        return "reasoning"  # encrypted, and left out by some
    if kind == "message":
        role, content = str(item.get("role")), item.get("content")
        text = text_of(content)
        if role == "assistant":
            return [role, text]
        others = [
            digest(block)
            for block in (content if isinstance(content, list) else [])
            if isinstance(block, dict) and "text" not in block
        ]
        return [role, settled_text(text), *others]
    telling = ("call_id", "name", "arguments", "input")
    kept: dict[str, JsonValue] = {name: item[name] for name in telling if name in item}
    return {str(kind): digest(kept)}


def _item_events(answer: Body) -> Iterator[Body]:
    for index, item in enumerate(answer.get("output") or ()):
        at = {"output_index": index, "item_id": item.get("id")}
        empty = item | ({"content": []} if item.get("type") == "message" else {})
        empty |= {"arguments": ""} if item.get("type") == "function_call" else {}
        yield {
            "type": "response.output_item.added",
            "output_index": index,
            "item": empty | {"status": "in_progress"},
        }
        if item.get("type") == "message":
            for number, part in enumerate(item.get("content") or ()):
                if part.get("type") == "output_text":
                    yield from _text_events(part, at | {"content_index": number})
        elif item.get("type") == "function_call":
            kind = "response.function_call_arguments"
            for piece in pieces(item["arguments"]):
                yield {"type": f"{kind}.delta", **at, "delta": piece}
            yield {"type": f"{kind}.done", **at, "arguments": item["arguments"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _text_events(part: Body, at: Body) -> Iterator[Body]:
    yield {"type": "response.content_part.added", **at, "part": part | {"text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **at, "part": part}
