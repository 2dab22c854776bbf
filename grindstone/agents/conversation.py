"""The conversation an agent keeps with its model, summarised before it grows too long.

Its shape is always the one the Messages API wants: the user's turn first, roles
alternating, every tool call answered in the very next turn. A summary therefore becomes
a part of the first user turn, behind the instruction, and what is kept after it begins
with an answer of the model.
"""

from collections.abc import Sequence
from typing import Self

from grindstone.agents.limits import Meter
from grindstone.agents.protocol import Brief
from grindstone.agents.recorder import Recorder
from grindstone.llm.messages import (
    Block,
    CallSite,
    Message,
    Model,
    Request,
    Response,
    Text,
    ToolResult,
    ToolSpec,
    ToolUse,
)
from grindstone.prompts import template
from grindstone.records import Role, StepKind
from grindstone.text import shorten

CHARS_PER_TOKEN = 3.5
"""A cautious guess for text not yet counted by the provider (English is nearer to 4)."""

KEPT_SHARE = 0.4
"""Share of `context_tokens` that the latest turns may fill when older ones are summarised."""

_NO_TEXT = Text(text="(no text)")


class Conversation:
    """The turns of one piece of work; `ask` speaks to the model, `reply` answers it.

    Args:
        model: Whom to ask.
        meter: What it may still use; counts what it does.
        record: Where summaries are kept.
        site: Whose calls these are; its turn is that of the first.
        system_prompt: Sent with every request.
        opening: The first user turn.
    """

    def __init__(
        self,
        model: Model,
        meter: Meter,
        record: Recorder,
        *,
        site: CallSite,
        system_prompt: str,
        opening: str,
    ) -> None:
        self._model = model
        self._meter = meter
        self._record = record
        self._site = site
        self._system_prompt = system_prompt
        self._opening = Text(text=opening)
        self._summary = ""
        self._turns: list[Message] = []  # after the first user turn
        self._context = 0  # tokens of the last request and answer, as the provider counted
        self._counted = 0  # how many of `_turns` that count covers
        self._asked = 0
        self._summarised = 0

    @classmethod
    def of_brief(
        cls, brief: Brief, model: Model, meter: Meter, record: Recorder, opening: str | None = None
    ) -> Self:
        """Begin what a solver is told, with its instruction or another opening."""
        site = CallSite(role=Role.SOLVER, scope=brief.episode_id, turn=0, task_id=brief.task_id)
        return cls(
            model,
            meter,
            record,
            site=site,
            system_prompt=brief.system_prompt,
            opening=brief.instruction if opening is None else opening,
        )

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the model would be sent now."""
        first: tuple[Block, ...] = (self._opening,)
        if self._summary:
            note = template("agents", "summary_note").substitute(summary=self._summary)
            first = (*first, Text(text=note.strip()))
        return Message(role="user", content=first), *self._turns

    async def ask(self, tools: Sequence[ToolSpec] = ()) -> Response:
        """Return the model's answer, which is now part of the conversation."""
        await self._make_room()
        request = Request(
            system=self._system_prompt,
            messages=self.messages,
            tools=tuple(tools),
            max_tokens=self._meter.effort.max_output_tokens,
        )
        site = self._site.model_copy(update={"turn": self._site.turn + self._asked})
        response = await self._model.complete(request, site)
        self._asked += 1
        self._meter.steps += 1
        self._meter.count(response.usage)
        # The API refuses empty turns, also those made of white space alone.
        self._turns.append(Message(role="assistant", content=_speakable(response.content)))
        self._context = response.usage.total_tokens
        self._counted = len(self._turns)
        return response

    def reply(self, *blocks: Block) -> None:
        """Answer the model: tool results, or text."""
        self._turns.append(Message(role="user", content=blocks))

    def estimate(self) -> int:
        """Tokens of the next request: the last count, and a guess for what came since."""
        if not self._context:
            known = len(self._system_prompt) + sum(map(_chars, self.messages))
            return int(known / CHARS_PER_TOKEN)
        new = sum(map(_chars, self._turns[self._counted :]))
        return self._context + int(new / CHARS_PER_TOKEN)

    async def _make_room(self) -> None:
        limit = self._meter.effort.context_tokens
        if self.estimate() <= limit:
            return
        cut = self._cut(int(limit * KEPT_SHARE * CHARS_PER_TOKEN))
        if cut == 0:
            return
        self._summary = await self._summarise(self._turns[:cut])
        self._turns = self._turns[cut:]
        self._context = self._counted = 0

    def _cut(self, kept_chars: int) -> int:
        """Where to cut: before an answer of the model, the last exchange always kept."""
        answers = [i for i, turn in enumerate(self._turns) if turn.role == "assistant"]
        size, cut = 0, len(self._turns)
        for start in reversed(answers):
            size += sum(map(_chars, self._turns[start:cut]))
            if size > kept_chars and cut < len(self._turns):
                break
            cut = start
        return cut

    async def _summarise(self, dropped: Sequence[Message]) -> str:
        transcript = "\n\n".join(filter(None, (self._summary, *map(_plain, dropped))))
        request = Request(
            system=template("agents", "summary").substitute(),
            messages=(
                Message(
                    role="user",
                    content=(
                        Text(
                            text=template("agents", "summary_request").substitute(
                                instruction=self._opening.text, transcript=transcript
                            )
                        ),
                    ),
                ),
            ),
            max_tokens=self._meter.effort.max_output_tokens,
        )
        site = self._site.model_copy(update={"role": Role.SUMMARY, "turn": self._summarised})
        response = await self._model.complete(request, site)
        self._summarised += 1
        self._meter.count(response.usage)
        # A refused or empty summary must not cost the agent its past.
        summary = response.text.strip() or shorten(transcript)
        self._record.add(StepKind.SUMMARY, summary, usage=response.usage)
        return summary


def _speakable(content: tuple[Block, ...]) -> tuple[Block, ...]:
    kept = tuple(b for b in content if not (isinstance(b, Text) and not b.text.strip()))
    said = any(isinstance(block, Text | ToolUse) for block in kept)
    return kept if said else (*kept, _NO_TEXT)


def _chars(message: Message) -> int:
    return len(_plain(message))


def _plain(message: Message) -> str:
    who = "Agent" if message.role == "assistant" else "Environment"
    parts: list[str] = []
    for block in message.content:
        if isinstance(block, Text):
            parts.append(block.text)
        elif isinstance(block, ToolUse):
            arguments = "\n".join(f"  {key}: {value}" for key, value in block.input.items())
            parts.append(f"calls {block.name}\n{arguments}")
        elif isinstance(block, ToolResult):
            parts.append(f"{'error' if block.is_error else 'result'}: {block.content}")
    return f"{who}: " + "\n".join(parts)
