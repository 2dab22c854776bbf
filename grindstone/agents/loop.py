"""The loop of every agent that calls tools: ask, run what was asked for, tell, repeat.

A solver, the evolver and an agent at live work differ in the tools they bring, and in nothing
else: each is a `Toolbox`.
"""

from typing import NamedTuple, Protocol

from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.recorder import Recorder
from grindstone.llm.messages import Response, Text, ToolResult, ToolSpec, ToolUse
from grindstone.records import StopReason, ToolCall, ToolOutput, Trajectory

MAX_MALFORMED = 3
"""Turns in a row without one usable call that end the work."""

OUT_OF_TIME = "Not run: the attempt's time is over."
CUT_OFF = "Not run: your answer was cut off at the output limit; make the call again, shorter."
GO_ON = "Your answer was cut off at the output limit. Go on, in shorter steps."


class CallResult(NamedTuple):
    """What came of one call."""

    output: ToolOutput  # for the trajectory, whole up to a cap
    shown: str  # for the model
    malformed: bool = False
    submitted: str | None = None  # the closing words, where the call ends the work


class Toolbox(Protocol):
    """The tools of one piece of work."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is told of."""
        ...

    async def run(self, use: ToolUse) -> CallResult:
        """Run one call; the agent's mistakes are results, infrastructure alone raises."""
        ...


def refused(use: ToolUse, why: str) -> CallResult:
    """Return the error result of a sound call that is not run."""
    return CallResult(ToolOutput(call_id=use.id, content=why, is_error=True), why)


def malformed(use: ToolUse, why: str) -> CallResult:
    """Return the error result of a call that cannot be understood."""
    return refused(use, why)._replace(malformed=True)


async def converse(
    talk: Conversation,
    toolbox: Toolbox,
    meter: Meter,
    record: Recorder,
    *,
    max_malformed: int = MAX_MALFORMED,
) -> Trajectory:
    """Let the model work until it stops calling tools, submits, refuses, or meets a limit.

    Args:
        talk: What was said so far; its last turn is the user's.
        toolbox: What the model may call.
        meter: What it may still use.
        record: Where each step is kept.
        max_malformed: Turns in a row without one usable call that end the work.

    Returns:
        All steps recorded so far, and how it ended. When the model ended its turn by itself,
        the conversation can be taken up again with `talk.reply`.
    """
    unusable = 0
    while (limit := meter.spent()) is None:
        response = await talk.ask(toolbox.specs)
        ran = await _run_calls(response, toolbox)
        calls = tuple(
            ToolCall(call_id=use.id, name=use.name, arguments=use.input)
            for use in response.tool_uses
        )
        record.answer(response, calls, tuple(each.output for each in ran))
        if response.stop_reason == "refusal":
            return record.finish(StopReason.REFUSED, response.text)
        closing = next((each.submitted for each in ran if each.submitted is not None), None)
        if closing is not None:
            return record.finish(StopReason.SUBMITTED, closing or response.text)
        cut_off = response.stop_reason == "max_tokens"
        if not ran and not cut_off:
            ended = StopReason.SUBMITTED if meter.remaining_s > 0 else StopReason.TIME_LIMIT
            return record.finish(ended, response.text)
        usable = any(not each.malformed for each in ran) and not cut_off
        unusable = 0 if usable else unusable + 1
        if unusable >= max_malformed:
            return record.finish(StopReason.FORMAT_ERRORS)
        results = (
            ToolResult(
                tool_use_id=each.output.call_id,
                content=each.shown,
                is_error=each.output.is_error,
            )
            for each in ran
        )
        talk.reply(*results, *([] if ran else [Text(text=GO_ON)]))
    return record.finish(limit)


async def _run_calls(response: Response, toolbox: Toolbox) -> list[CallResult]:
    uses = response.tool_uses
    if response.stop_reason == "refusal":
        return [refused(use, "Not run: the answer was a refusal.") for use in uses]
    ran: list[CallResult] = []
    for use in uses:
        # Only the last call of an answer can have been cut in the middle.
        cut = response.stop_reason == "max_tokens" and use is uses[-1]
        ran.append(refused(use, CUT_OFF) if cut else await toolbox.run(use))
        if ran[-1].submitted is not None:
            break
    return ran
