"""The `strands` profile: a model, a few tools, and a loop."""

from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.protocol import Brief
from grindstone.agents.recorder import OnStep, Recorder
from grindstone.agents.tools import CUT_OFF, Ran, Toolbox, refused
from grindstone.errors import InputError
from grindstone.llm.messages import Model, Response, Text, ToolResult
from grindstone.records import StepKind, StopReason, ToolCall, Trajectory
from grindstone.sandbox.protocol import Sandbox

GO_ON = "Your answer was cut off at the output limit. Go on, in shorter steps."


class StrandsSolver:
    """Asks the model, runs the tools it calls, tells it what came of them, and repeats.

    Args:
        max_malformed: Turns in a row without one usable call that end the attempt.
        on_step: Told of every step as it is recorded.
    """

    def __init__(self, *, max_malformed: int = 3, on_step: OnStep | None = None) -> None:
        self._max_malformed = max_malformed
        self._on_step = on_step

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None) -> Trajectory:
        """Try the task once; ends when the model stops calling tools, or at a limit."""
        if model is None:
            raise InputError("strands", "has no model", "a model to talk to")
        meter = Meter(brief.effort)
        record = Recorder(self._on_step)
        toolbox = Toolbox(sandbox, brief.skills, meter)
        talk = Conversation(brief, model, meter, record)
        record.add(StepKind.SYSTEM, brief.system_prompt)
        record.add(StepKind.USER, brief.instruction)
        malformed = 0
        while (limit := meter.spent()) is None:
            response = await talk.ask(toolbox.specs)
            ran = await self._run_calls(response, toolbox)
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
                if meter.remaining_s <= 0:
                    return record.finish(StopReason.TIME_LIMIT, response.text)
                return record.finish(StopReason.SUBMITTED, response.text)
            usable = any(not each.malformed for each in ran) and not cut_off
            malformed = 0 if usable else malformed + 1
            if malformed >= self._max_malformed:
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

    async def _run_calls(self, response: Response, toolbox: Toolbox) -> list[Ran]:
        uses = response.tool_uses
        if response.stop_reason == "refusal":
            return [refused(use, "Not run: the answer was a refusal.") for use in uses]
        ran: list[Ran] = []
        for use in uses:
            # Only the last call of an answer can have been cut in the middle.
            cut = response.stop_reason == "max_tokens" and use is uses[-1]
            ran.append(refused(use, CUT_OFF) if cut else await toolbox.run(use))
            if ran[-1].submitted is not None:
                break
        return ran
