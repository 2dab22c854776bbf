"""Between our records and the Messages API's: what is sent, and what a stream adds up to.

Answers are always streamed. Without streaming nothing arrives until the last token is
written, so a stalled service cannot be told from a thorough one; with it, silence on the
wire has one meaning, and a broken answer shows by its missing stop reason.
"""

from collections import defaultdict
from io import StringIO
from typing import Any

from grindstone.errors import Cause, InfrastructureError
from grindstone.llm.faults import ServiceFault, error_in
from grindstone.llm.messages import (
    Block,
    Message,
    Opaque,
    Request,
    Response,
    Text,
    ToolUse,
    tool_input,
)
from grindstone.llm.told import guessed_by_size, tokens_told
from grindstone.records import Usage

EPHEMERAL = {"type": "ephemeral"}
_CACHED_USER_TURNS = 2  # the one being asked, and the one whose prefix the last call wrote


def to_wire(request: Request, model: str, *, conversation: bool) -> dict[str, Any]:
    """Return the body of a request to the Messages API, but for its wish for a stream.

    Args:
        request: What to ask.
        model: The provider's name of the model.
        conversation: More turns are to follow, so the last ones are worth a place in the
            prompt cache; the system prompt always is.
    """
    messages = [_message(message) for message in request.messages]
    if conversation:
        _mark_for_cache(messages)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": messages,
    }
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": EPHEMERAL}]
    if request.tools:
        body["tools"] = [tool.model_dump(mode="json") for tool in request.tools]
    config: dict[str, Any] = {}
    if request.output_schema is not None:
        # The API knows a part of JSON schema only and refuses the rest (bounds, say). The SDK
        # takes over a second to import, so it is imported where somebody asks for it.
        import anthropic

        schema = anthropic.transform_schema(request.output_schema)
        config["format"] = {"type": "json_schema", "schema": schema}
    if request.effort is not None:
        config["effort"] = request.effort
    if config:
        body["output_config"] = config
    return body


def _message(message: Message) -> dict[str, Any]:
    # The API refuses empty text blocks and empty messages, though it may send them.
    blocks = [
        _block(block)
        for block in message.content
        if not (isinstance(block, Text) and not block.text.strip())
    ]
    return {
        "role": message.role,
        "content": blocks or [{"type": "text", "text": "(empty)"}],
    }


def _block(block: Block) -> dict[str, Any]:
    if isinstance(block, Opaque):
        return dict(block.data)
    return block.model_dump(mode="json")


def _mark_for_cache(messages: list[dict[str, Any]]) -> None:
    left = _CACHED_USER_TURNS
    for message in reversed(messages):
        if message["role"] == "user" and left:
            message["content"][-1]["cache_control"] = EPHEMERAL
            left -= 1


class MessageStream:
    """Adds up the events of one streamed answer to the body it has without streaming.

    `usage` is what the service has told so far, also when the stream then breaks off.
    """

    def __init__(self, prompt_bytes: int) -> None:
        self._prompt_bytes = prompt_bytes
        self._written = 0
        self._told: Usage | None = None
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: defaultdict[tuple[int, str], StringIO] = defaultdict(StringIO)
        self._ended: dict[str, Any] = {}

    @property
    def usage(self) -> Usage:
        """What the service told, or, where it tells nothing, a guess by size."""
        if self._told is not None or not self._message:
            return self._told or Usage()
        return guessed_by_size(self._prompt_bytes, self._written)

    def add(self, event: Any) -> None:
        """Take the next event, as plain JSON.

        Raises:
            ServiceFault: It tells an error.
            InfrastructureError: MODEL_SERVER, when it is not what the protocol allows.
        """
        if event.get("type") == "error":
            raise ServiceFault(200, *error_in(event), {})
        try:
            self._add(event)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InfrastructureError(
                Cause.MODEL_SERVER, f"an event of the stream is malformed: {error!r}"
            ) from error

    def _add(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "message_start":
                self._message = dict(event["message"])
                self._message["usage"] = _mapping(self._message.get("usage"))
                self._told = _usage(self._message["usage"], None)
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                self._delta(event["index"], event["delta"])
            case "message_delta":
                self._ended |= {
                    name: value for name, value in event["delta"].items() if value is not None
                }
                told = _mapping(event.get("usage"))
                self._told = _usage(told, self._told)
                self._message["usage"] = {
                    **self._message.get("usage", {}),
                    **{name: value for name, value in told.items() if value is not None},
                }

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                self._piece(index, "text", delta["text"])
            case "input_json_delta":
                self._piece(index, "input", delta["partial_json"])
            case "thinking_delta":
                self._piece(index, "thinking", delta["thinking"])
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def _piece(self, index: int, name: str, piece: str) -> None:
        self._written += self._pieces[index, name].write(piece)

    @property
    def complete(self) -> bool:
        """Whether the service said why the answer ended; nothing follows but the goodbye."""
        return "stop_reason" in self._ended

    @property
    def stop_reason(self) -> str:
        """Why the answer ended.

        Raises:
            InfrastructureError: MODEL_TRUNCATED, when the stream ended before the answer did.
        """
        if not self.complete:
            raise InfrastructureError(
                Cause.MODEL_TRUNCATED,
                f"the stream ended without a stop reason after {len(self._blocks)} blocks",
            )
        return str(self._ended["stop_reason"])

    def body(self) -> dict[str, Any]:
        """Return the whole answer, as the API words it.

        Raises:
            InfrastructureError: MODEL_TRUNCATED, when the stream ended before the answer
                did.
        """
        stop_reason = self.stop_reason
        ended = {"stop_sequence": None} | self._ended | {"stop_reason": stop_reason}
        return {**self._message, **ended, "content": self.blocks()}

    def blocks(self) -> list[dict[str, Any]]:
        """Return the answer's blocks, whole.

        Raises:
            InfrastructureError: MODEL_TRUNCATED, as `stop_reason`.
        """
        cut = self.stop_reason == "max_tokens"
        for (index, name), written in self._pieces.items():
            text = written.getvalue()
            block = self._blocks[index]
            whole = (
                tool_input(text, cut=cut) if name == "input" else str(block.get(name) or "") + text
            )
            block[name] = whole
        self._pieces.clear()
        return [block for _, block in sorted(self._blocks.items())]


class Accumulator(MessageStream):
    """The same as one of our own answers."""

    def response(self) -> Response:
        """Return the whole answer.

        Raises:
            InfrastructureError: MODEL_TRUNCATED, when the stream ended before the answer
                did.
        """
        stop_reason = self.stop_reason
        return Response(
            content=tuple(map(_finished, self.blocks())),
            stop_reason=stop_reason,
            usage=self.usage,
            model=str(self._message.get("model") or ""),
        )


def _finished(block: dict[str, Any]) -> Block:
    match block:
        case {"type": "text", "text": str(text)} if not block.get("citations"):
            return Text(text=text)
        case {"type": "tool_use"}:
            return ToolUse(id=block["id"], name=block["name"], input=block["input"])
        case _:
            return Opaque(data=block)


def _mapping(told: Any) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _usage(told: dict[str, Any], before: Usage | None) -> Usage | None:
    """Return the counts an event tells; later events repeat totals, they don't add.

    Args:
        told: What it tells of usage.
        before: What stands where it leaves a count out; None: nothing was told.

    Returns:
        None: no count has been told, or one that cannot be true.
    """
    names = {
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "cache_read_tokens": "cache_read_input_tokens",
        "cache_write_tokens": "cache_creation_input_tokens",
    }
    try:
        counts = {ours: tokens_told(told, theirs) for ours, theirs in names.items()}
    except ValueError:
        return None
    found = {name: count for name, count in counts.items() if count is not None}
    return Usage(**((before or Usage()).model_dump() | found)) if found or before else None
