"""OpenAI's two APIs, as the Messages API's bodies that the rehearsal answers."""

import json
from collections.abc import Iterator
from typing import Any

from grindstone.proxy.api import Body, text_of
from grindstone.rehearsal.wire import BadRequestError

_MOST = 8_192
_INSTRUCTING = ("system", "developer")

Piece = tuple[str, Body]
"""A turn's role, and one block of it."""


def of_chat(body: Body) -> Body:
    """Return a Chat Completions request as the same one to the Messages API.

    Raises:
        BadRequestError: It has no messages.
    """
    messages = _objects(body.get("messages"), "messages")
    system = [text_of(m.get("content")) for m in messages if m.get("role") in _INSTRUCTING]
    tools = [tool.get("function") or {} for tool in _objects(body.get("tools") or [], "tools")]
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    form = (body.get("response_format") or {}).get("json_schema")
    shaped = {"format": {"type": "json_schema", "schema": form["schema"]}} if form else {}
    return _messages(body, "\n\n".join(system), _chat_pieces(messages), tools, most) | (
        {"output_config": shaped} if shaped else {}
    )


def _chat_pieces(messages: list[Body]) -> Iterator[Piece]:
    for message in messages:
        role = message.get("role")
        if role in _INSTRUCTING:
            continue
        if role == "tool":
            yield "user", _result(message.get("tool_call_id"), text_of(message.get("content")))
            continue
        if text := text_of(message.get("content")):
            yield str(role), {"type": "text", "text": text}
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            yield str(role), _use(call.get("id"), function.get("name"), function.get("arguments"))


def of_responses(body: Body) -> Body:
    """Return a Responses request as the same one to the Messages API.

    Raises:
        BadRequestError: It has no input.
    """
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    items = _objects(items, "input")
    system = [str(body.get("instructions") or "")]
    system += [text_of(i.get("content")) for i in items if i.get("role") in _INSTRUCTING]
    tools = [t for t in _objects(body.get("tools") or [], "tools") if t.get("type") == "function"]
    pieces = _response_pieces(items)
    return _messages(body, "\n\n".join(system), pieces, tools, body.get("max_output_tokens"))


def _response_pieces(items: list[Body]) -> Iterator[Piece]:
    for item in items:
        match item.get("type") or "message":
            case "message" if item.get("role") not in _INSTRUCTING:
                content = item.get("content")
                blocks = [{"text": content}] if isinstance(content, str) else content or []
                for block in blocks:
                    yield str(item.get("role")), {"type": "text", "text": text_of([block])}
            case "function_call":
                yield (
                    "assistant",
                    _use(item.get("call_id"), item.get("name"), item.get("arguments")),
                )
            case "function_call_output":
                yield "user", _result(item.get("call_id"), text_of(item.get("output")))


def _messages(
    body: Body, system: str, pieces: Iterator[Piece], tools: list[Body], most: Any
) -> Body:
    turns: list[Body] = []
    for role, block in pieces:
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        turns[-1]["content"].append(block)
    return {
        "model": body.get("model"),
        "max_tokens": most or _MOST,
        "stream": body.get("stream") is True,
        "system": system,
        "messages": turns,
        "tools": [
            {"name": tool.get("name"), "input_schema": tool.get("parameters") or {}}
            for tool in tools
        ],
    }


def _objects(value: Any, where: str) -> list[Body]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadRequestError(f"{where}: expected a list of objects")
    return value


def _use(call_id: Any, name: Any, arguments: Any) -> Body:
    try:
        found = json.loads(arguments or "{}")
    except ValueError as error:
        raise BadRequestError(f"arguments of {name}: {error}") from error
    return {"type": "tool_use", "id": str(call_id), "name": str(name), "input": found}


def _result(call_id: Any, text: str) -> Body:
    return {"type": "tool_result", "tool_use_id": str(call_id), "content": text}


def completion(message: Body) -> Body:
    """Return a message of the Messages API as a chat completion."""
    said: Body = {"role": "assistant", "content": text_of(message["content"]) or None}
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["input"])},
        }
        for block in message["content"]
        if block["type"] == "tool_use"
    ]
    ended = {"tool_use": "tool_calls", "max_tokens": "length"}.get(message["stop_reason"], "stop")
    choice = {
        "index": 0,
        "message": said | ({"tool_calls": calls} if calls else {}),
        "finish_reason": ended,
        "logprobs": None,
    }
    prompt, cached, answer = _counts(message)
    return {
        "id": message["id"],
        "object": "chat.completion",
        "created": 0,
        "model": message["model"],
        "choices": [choice],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "total_tokens": prompt + answer,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }


def response(message: Body) -> Body:
    """Return a message of the Messages API as a response."""
    items: list[Body] = []
    for number, block in enumerate(message["content"]):
        name = f"{message['id']}_{number}"
        if block["type"] == "text":
            part = {"type": "output_text", "text": block["text"], "annotations": []}
            said = {"type": "message", "role": "assistant", "content": [part]}
            items.append(said | {"id": name, "status": "completed"})
        else:
            call = {"call_id": block["id"], "name": block["name"]}
            arguments = json.dumps(block["input"])
            items.append(
                {"type": "function_call", "id": name, "status": "completed", **call}
                | {"arguments": arguments}
            )
    cut = message["stop_reason"] == "max_tokens"
    prompt, cached, answer = _counts(message)
    return {
        "id": message["id"].replace("msg_", "resp_"),
        "object": "response",
        "created_at": 0,
        "model": message["model"],
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": items,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + answer,
        },
    }


def _counts(message: Body) -> tuple[int, int, int]:
    usage = message["usage"]
    cached = usage["cache_read_input_tokens"]
    fresh = usage["input_tokens"] + usage["cache_creation_input_tokens"]
    return fresh + cached, cached, usage["output_tokens"]
