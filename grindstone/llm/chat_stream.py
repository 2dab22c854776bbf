"""What a streamed answer of the Chat Completions API adds up to."""

from collections import defaultdict
from io import StringIO
from typing import Any

from grindstone.errors import Cause, InfrastructureError
from grindstone.llm.faults import ServiceFault, error_in
from grindstone.llm.told import guessed_by_size, tokens_told
from grindstone.records import Usage

JOINED = ("content", "refusal", "reasoning_content", "reasoning")
"""Parts of a message that come in pieces of text."""


class ChatStream:
    """Adds up chunks to the body that the same request has without streaming."""

    def __init__(self, prompt_bytes: int) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._told: Usage | None = None
        self._prompt_bytes = prompt_bytes
        self._written = 0
        self._usage_as_told: dict[str, Any] | None = None

    @property
    def usage(self) -> Usage:
        """What the service told, or, before it does, a guess by size."""
        if self._told is not None or not self._choices:
            return self._told or Usage()
        return guessed_by_size(self._prompt_bytes, self._written)

    @property
    def complete(self) -> bool:
        """Whether every choice has its reason to end."""
        return bool(self._choices) and all(
            choice["finish_reason"] for choice in self._choices.values()
        )

    def add(self, event: Any) -> None:
        """Take the next chunk.

        Raises:
            ServiceFault: It tells an error.
            InfrastructureError: MODEL_SERVER, it is malformed.
        """
        if "error" in event:
            raise ServiceFault(200, *error_in(event), {})
        try:
            self._add(event)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InfrastructureError(
                Cause.MODEL_SERVER, f"a chunk of the stream is malformed: {error!r}"
            ) from error

    def _add(self, event: dict[str, Any]) -> None:
        if not self._head:
            self._head = {
                name: event[name]
                for name in ("id", "created", "model", "system_fingerprint", "service_tier")
                if event.get(name) is not None
            }
        if (usage := event.get("usage")) and (told := usage_of(usage)):
            self._told, self._usage_as_told = told, usage
        for piece in event.get("choices") or ():
            self._piece(piece)

    def _piece(self, piece: dict[str, Any]) -> None:
        index = int(piece.get("index") or 0)
        choice = self._choices.setdefault(
            index,
            {"index": index, "message": defaultdict(StringIO), "calls": {}, "finish_reason": None},
        )
        delta = piece.get("delta") or {}
        for name in JOINED:
            if (text := delta.get(name)) is not None:
                choice["message"][name].write(str(text))
                self._written += len(text)
        for call in delta.get("tool_calls") or ():
            self._call(choice["calls"], call)
        choice["finish_reason"] = piece.get("finish_reason") or choice["finish_reason"]

    def _call(self, calls: dict[int, dict[str, Any]], piece: dict[str, Any]) -> None:
        known = calls.setdefault(
            int(piece.get("index") or 0), {"id": "", "name": "", "arguments": StringIO()}
        )
        function = piece.get("function") or {}
        known["id"] = piece.get("id") or known["id"]
        known["name"] = function.get("name") or known["name"]
        arguments = str(function.get("arguments") or "")
        known["arguments"].write(arguments)
        self._written += len(arguments)

    def body(self) -> dict[str, Any]:
        """Return the whole answer, as the API words it.

        Raises:
            InfrastructureError: MODEL_TRUNCATED, when the stream ended before the answer did.
        """
        if not self.complete:
            raise InfrastructureError(
                Cause.MODEL_TRUNCATED, "the stream ended without a finish reason"
            )
        choices = [_choice(choice) for _, choice in sorted(self._choices.items())]
        usage = self._usage_as_told or {
            "prompt_tokens": self.usage.input_tokens,
            "completion_tokens": self.usage.output_tokens,
            "total_tokens": self.usage.total_tokens,
        }
        head = {"id": "chatcmpl", "created": 0, "model": ""} | self._head
        return {**head, "object": "chat.completion", "choices": choices, "usage": usage}


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    message |= {name: text.getvalue() for name, text in choice["message"].items()}
    if choice["calls"]:
        message["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"].getvalue()},
            }
            for _, call in sorted(choice["calls"].items())
        ]
    return {
        "index": choice["index"],
        "message": message,
        "finish_reason": choice["finish_reason"],
        "logprobs": None,
    }


def usage_of(told: Any) -> Usage | None:
    """Return the usage that Chat Completions or Responses told; None: nothing one can believe.

    Both count cached tokens among the input; we don't.
    """
    if not isinstance(told, dict):
        return None
    try:
        inputs = tokens_told(told, "prompt_tokens", "input_tokens")
        details = told.get("prompt_tokens_details") or told.get("input_tokens_details") or {}
        cached = min(inputs or 0, tokens_told(details, "cached_tokens") or 0)
        outputs = tokens_told(told, "completion_tokens", "output_tokens")
    except (AttributeError, ValueError):
        return None
    if inputs is None and outputs is None:
        return None
    return Usage(
        input_tokens=(inputs or 0) - cached, output_tokens=outputs or 0, cache_read_tokens=cached
    )
