"""OpenAI's Chat Completions API, as far as the proxy must know it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import JsonValue

from grindstone.digest import digest
from grindstone.llm.asking import StreamedAnswer
from grindstone.llm.chat import STOP_REASONS
from grindstone.llm.chat_stream import JOINED, ChatStream
from grindstone.llm.messages import Response
from grindstone.llm.service import Api
from grindstone.proxy.api import (
    BadBody,
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

_INSTRUCTING = ("system", "developer")


class _Answer(ChatStream):
    def response(self) -> Response:
        body = self.body()
        ended = str(body["choices"][0]["finish_reason"])
        return held(
            body,
            stop_reason=STOP_REASONS.get(ended, ended),
            usage=self.usage,
            model=str(body["model"]),
        )


class ChatApi:
    """See `ProxiedApi`."""

    api = Api.CHAT

    def streamed(self, prompt_bytes: int) -> StreamedAnswer:
        """Return an empty answer."""
        return _Answer(prompt_bytes)

    def outgoing(self, body: Body) -> Body:
        """Return the request, streamed, with the usage at its end."""
        if body.get("functions") or body.get("function_call"):
            raise BadBody("functions are not taken: name them as tools")
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        return body | {"stream": True, "stream_options": options}

    def most_tokens(self, body: Body) -> int | None:
        """Return max_completion_tokens or its elder."""
        return positive(body.get("max_completion_tokens") or body.get("max_tokens"))

    def identity(self, body: Body) -> JsonValue:
        """Return the settled conversation and the tools' names."""
        return {
            "messages": [_settled(message) for message in listed(body.get("messages"))],
            "tools": names(
                (tool.get("function") or {}).get("name") for tool in listed(body.get("tools") or [])
            ),
            "format": json.dumps(body.get("response_format") or {}, sort_keys=True),
        }

    def opening(self, body: Body) -> FirstWords:
        """Return the instructions and the user's first message."""
        messages = listed(body.get("messages"))
        system = [text_of(m.get("content")) for m in messages if m.get("role") in _INSTRUCTING]
        user = (text_of(m.get("content")) for m in messages if m.get("role") == "user")
        return FirstWords("\n".join(system), next(user, ""))

    def heard(self, body: Body) -> Sequence[Heard]:
        """Return the tools' messages."""
        return [
            Heard(str(message.get("tool_call_id")), text_of(message.get("content")))
            for message in listed(body.get("messages"))
            if message.get("role") == "tool"
        ]

    def said(self, answer: Body) -> Said:
        """Return the first choice's text, reasoning and calls."""
        message = answer["choices"][0]["message"]
        return Said(
            text=str(message.get("content") or message.get("refusal") or ""),
            reasoning=str(message.get("reasoning_content") or message.get("reasoning") or ""),
            calls=tuple(
                called(call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls") or ()
            ),
        )

    def events(self, answer: Body, asked: Body) -> Iterator[bytes]:
        """Yield chunks: each choice's parts, its reason to end, the usage if asked, and the end.

        The usage's chunk has no choice, which breaks programs that did not ask for it.
        """
        head = {
            name: value for name, value in answer.items() if name not in {"choices", "usage"}
        } | {"object": "chat.completion.chunk"}
        for choice in answer["choices"]:
            deltas = [{"role": "assistant", "content": ""}, *_deltas(choice["message"])]
            for delta, ended in [(d, None) for d in deltas] + [({}, choice["finish_reason"])]:
                piece = {"index": choice["index"], "delta": delta, "finish_reason": ended}
                yield sse(head | {"choices": [piece], "usage": None})
        if (asked.get("stream_options") or {}).get("include_usage"):
            yield sse(head | {"choices": [], "usage": answer["usage"]})
        yield b"data: [DONE]\n\n"

    def error(self, kind: str, message: str) -> Body:
        """Return an error's body."""
        return openai_error(kind, message)

    def error_events(self, kind: str, message: str) -> Iterator[bytes]:
        """Yield an error in a chunk's place."""
        yield sse(self.error(kind, message))


def openai_error(kind: str, message: str) -> Body:
    """Return an error's body as OpenAI's APIs word it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": kind}}


def called(call_id: str, name: str, arguments: str) -> ToolCall:
    """Return a call whose arguments came as text; what is no JSON object is kept as it is."""
    try:
        found: Any = json.loads(arguments or "{}")
    except ValueError:
        found = None
    return ToolCall(
        call_id=call_id,
        name=name,
        arguments=found if isinstance(found, dict) else {"text": arguments},
    )


def _settled(message: Body) -> JsonValue:
    role = str(message.get("role"))
    if role == "tool":
        return {"result": str(message.get("tool_call_id"))}
    content = message.get("content")
    text = text_of(content)
    if role == "assistant":
        calls: JsonValue = [
            {"id": str(call.get("id")), "call": digest(call.get("function") or {})}
            for call in listed(message.get("tool_calls") or [])
        ]
        return [role, text, calls]
    others = [
        digest(block)
        for block in (content if isinstance(content, list) else [])
        if isinstance(block, dict) and "text" not in block
    ]
    return [role, settled_text(text), *others]


def _deltas(message: Body) -> Iterator[Body]:
    for name in JOINED:
        if text := message.get(name):
            for piece in pieces(text):
                yield {name: piece}
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        begun = {"name": function["name"], "arguments": ""}
        yield {
            "tool_calls": [
                {"index": index, "id": call["id"], "type": "function", "function": begun}
            ]
        }
        for piece in pieces(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
