"""Requests and responses in the Messages API's terms, as frozen records.

They serialise to the wire's own JSON, so a digest of a request is a digest of what is
sent, and a journal line is what came back.
"""

import json
from typing import Annotated, Literal, Protocol

from pydantic import Field, JsonValue, PositiveInt

from grindstone.base import Frozen
from grindstone.records import Role, Usage


class Text(Frozen):
    """Plain text."""

    type: Literal["text"] = "text"
    text: str


class ToolUse(Frozen):
    """The model asks for a tool."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: dict[str, JsonValue]


class ToolResult(Frozen):
    """What the tool gave."""

    type: Literal["tool_result"] = "tool_result"
    tool_use_id: str
    content: str
    is_error: bool = False


class Opaque(Frozen):
    """A block this code does not read (thinking, say) and hands back unchanged."""

    type: Literal["opaque"] = "opaque"
    data: dict[str, JsonValue]


Block = Annotated[Text | ToolUse | ToolResult | Opaque, Field(discriminator="type")]


class Message(Frozen):
    """One turn; roles alternate, the first is the user's."""

    role: Literal["user", "assistant"]
    content: tuple[Block, ...]


class ToolSpec(Frozen):
    """A tool the model may ask for."""

    name: str
    description: str
    input_schema: dict[str, JsonValue]


class Request(Frozen):
    """One model call."""

    system: str = ""
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: PositiveInt = 8192
    output_schema: dict[str, JsonValue] | None = Field(
        None, description="JSON schema the answer's text must satisfy (structured output)."
    )
    effort: Literal["low", "medium", "high"] | None = None


class Response(Frozen):
    """What the model answered."""

    content: tuple[Block, ...]
    stop_reason: str = Field(description="end_turn, tool_use, max_tokens, refusal, …")
    usage: Usage
    model: str
    replayed: bool = Field(False, description="Taken from the journal: nothing was paid.")

    @property
    def text(self) -> str:
        """All text blocks, joined."""
        return "".join(block.text for block in self.content if isinstance(block, Text))

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """The tools asked for, in order."""
        return tuple(block for block in self.content if isinstance(block, ToolUse))


class CallSite(Frozen):
    """Where in a run a call is made: the key of its journal line and its cost row."""

    role: Role
    scope: str = Field(description="episode_id, or the step of the run such as 'evolve/3'.")
    turn: int = Field(ge=0, description="Counts the calls of this role within the scope.")
    task_id: str = ""


class Model(Protocol):
    """A model to talk to; journal, retries, metering and budget are behind it."""

    @property
    def model_id(self) -> str:
        """As the user spelled it."""
        ...

    @property
    def rehearsal(self) -> bool:
        """Whether the offline rehearsal server answers."""
        ...

    async def complete(self, request: Request, site: CallSite) -> Response:
        """Return the model's answer.

        Raises:
            InfrastructureError: After the tries its policy allows.
            BudgetExceededError: Before the call, when a ceiling is reached.
        """
        ...


INVALID_JSON = "INVALID_JSON"
"""What stands in place of arguments that are no JSON object; Anthropic's documents name it so."""


def tool_input(text: str, *, cut: bool) -> dict[str, JsonValue]:
    """Return the arguments a model wrote for a tool.

    What is no JSON object is the model's mistake and no fault of its service: the tool refuses
    it, and the model sees what it wrote.

    Args:
        text: As written; empty for none.
        cut: Whether the answer ended at its token limit: a command cut in half must not be run.
    """
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    return {} if cut else {INVALID_JSON: text}
