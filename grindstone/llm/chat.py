"""Our requests as the Chat Completions API words them, and its answers as ours."""

import json
from typing import Any, Self

import httpx2

from grindstone.llm.asking import Inquiry
from grindstone.llm.chat_stream import ChatStream
from grindstone.llm.messages import (
    Block,
    Message,
    Request,
    Response,
    Text,
    ToolResult,
    ToolUse,
    tool_input,
)
from grindstone.llm.service import Api, Service
from grindstone.llm.sse import HttpInquiry, http_client
from grindstone.llm.timeouts import Timeouts

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class ChatAsker:
    """Asks a service that speaks Chat Completions."""

    def __init__(self, service: Service, patience: Timeouts) -> None:
        self._client = http_client(service, patience)
        self._url = service.urls[Api.CHAT]

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self._client.aclose()

    def inquiry(self, request: Request, model: str, *, conversation: bool) -> Inquiry:
        """Return a request in the API's words; it caches prompts by itself."""
        return _ChatInquiry(self._client, self._url, to_chat(request, model))


class _ChatInquiry(HttpInquiry):
    def __init__(self, client: httpx2.AsyncClient, url: str, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        super().__init__(client, url, content, lambda: ChatAnswer(len(content)))


class ChatAnswer(ChatStream):
    """An answer to one of our own requests."""

    def response(self) -> Response:
        """Return the whole answer."""
        return from_chat(self)


def to_chat(request: Request, model: str) -> dict[str, Any]:
    """Return the body of a request to Chat Completions, streamed."""
    messages: list[dict[str, Any]] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    for message in request.messages:
        messages += _messages(message)
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "max_completion_tokens": request.max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.input_schema,
                },
            }
            for tool in request.tools
        ]
    if request.output_schema is not None:
        schema = {"name": "answer", "schema": request.output_schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.effort is not None:
        body["reasoning_effort"] = request.effort
    return body


def _messages(message: Message) -> list[dict[str, Any]]:
    """Return one of our turns as the API's: it has a message for every result."""
    text = "\n\n".join(
        block.text for block in message.content if isinstance(block, Text) and block.text.strip()
    )
    if message.role == "assistant":
        calls = [
            {
                "id": block.id,
                "type": "function",
                "function": {"name": block.name, "arguments": json.dumps(block.input)},
            }
            for block in message.content
            if isinstance(block, ToolUse)
        ]
        own: dict[str, Any] = {"role": "assistant", "content": text or None}
        return [own | {"tool_calls": calls} if calls else own | {"content": text or "(empty)"}]
    found: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": block.tool_use_id, "content": block.content}
        for block in message.content
        if isinstance(block, ToolResult)
    ]
    if text or not found:
        found.append({"role": "user", "content": text or "(empty)"})
    return found


def from_chat(stream: ChatStream) -> Response:
    """Return a whole answer as ours.

    Raises:
        InfrastructureError: MODEL_TRUNCATED, it is not whole.
    """
    body = stream.body()
    choice = body["choices"][0]
    message, ended = choice["message"], str(choice["finish_reason"])
    content: list[Block] = []
    if text := message.get("content"):
        content.append(Text(text=text))
    for call in message.get("tool_calls") or ():
        function = call["function"]
        content.append(
            ToolUse(
                id=call["id"],
                name=function["name"],
                input=tool_input(function["arguments"], cut=ended == "length"),
            )
        )
    if message.get("refusal"):
        content.append(Text(text=message["refusal"]))
        ended = "content_filter"
    elif ended == "stop" and message.get("tool_calls"):
        ended = "tool_calls"  # some services say stop whatever they ask for
    return Response(
        content=tuple(content),
        stop_reason=STOP_REASONS.get(ended, ended),
        usage=stream.usage,
        model=str(body["model"]),
    )
