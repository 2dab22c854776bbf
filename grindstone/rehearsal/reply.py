"""An answer as the Messages API words it, whole or as a stream of events."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from grindstone.rehearsal import tokens
from grindstone.rehearsal.wire import MODEL, ModelRequest, ScriptedAnswer

_CHUNK = 64  # characters of one streamed delta


class Reply(NamedTuple):
    """A finished message."""

    message_id: str
    content: tuple[dict[str, Any], ...]
    stop_reason: str
    stop_sequence: str | None
    prompt: tokens.Count
    output_tokens: int

    def usage(self, output_tokens: int) -> dict[str, Any]:
        """Return the usage object with the given output tokens."""
        return {
            "input_tokens": self.prompt.fresh,
            "output_tokens": output_tokens,
            "cache_read_input_tokens": self.prompt.read,
            "cache_creation_input_tokens": self.prompt.written,
            "service_tier": "standard",
        }

    def message(self) -> dict[str, Any]:
        """Return the body of a non-streaming answer."""
        return {
            "id": self.message_id,
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": list(self.content),
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "usage": self.usage(self.output_tokens),
        }


def compose(
    asked: ModelRequest, answer: ScriptedAnswer, prompt: tokens.Count, request_digest: str
) -> Reply:
    """Return the answer within the request's limits: max_tokens and stop sequences."""
    text, stop_reason, stop_sequence = answer.text, "end_turn", None
    use = answer.use
    hits = [(text.find(stop), stop) for stop in asked.stop_sequences if stop and stop in text]
    if hits:
        at, stop_sequence = min(hits)
        text, use, stop_reason = text[:at], None, "stop_sequence"
    used = tokens.of_text(text) if text else 0
    if used > asked.max_tokens:
        while tokens.of_text(text) > asked.max_tokens and len(text) > 1:
            text = text[: max(1, min(len(text) - 1, len(text) * asked.max_tokens // used))]
            used = tokens.of_text(text)
        use, stop_reason, stop_sequence = None, "max_tokens", None
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    if use is not None:
        cost = tokens.of_text(json.dumps(use.arguments)) + 12
        if used + cost > asked.max_tokens:
            stop_reason, used = "max_tokens", asked.max_tokens
        else:
            used += cost
            stop_reason = "tool_use"
            content.append(
                {"type": "tool_use", "id": use.call_id, "name": use.name, "input": use.arguments}
            )
    return Reply(
        message_id=f"msg_rehearsal_{request_digest}",
        content=tuple(content),
        stop_reason=stop_reason,
        stop_sequence=stop_sequence,
        prompt=prompt,
        output_tokens=max(1, used),
    )


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "text":
        kind, field, whole = "text_delta", "text", block["text"]
    else:
        kind, field, whole = "input_json_delta", "partial_json", json.dumps(block["input"])
    for start in range(0, len(whole), _CHUNK):
        yield {"type": kind, field: whole[start : start + _CHUNK]}


def events(reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the server-sent events of a streamed answer."""
    opening = reply.message() | {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": reply.usage(1),
    }
    yield {"type": "message_start", "message": opening}
    yield {"type": "ping"}
    for index, block in enumerate(reply.content):
        empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": reply.stop_reason, "stop_sequence": reply.stop_sequence},
        "usage": reply.usage(reply.output_tokens),
    }
    yield {"type": "message_stop"}
