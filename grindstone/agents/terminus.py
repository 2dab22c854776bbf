"""The `terminus2` profiles: the model types into a terminal through JSON answers."""

from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.protocol import Brief
from grindstone.agents.recorder import OnStep, Recorder
from grindstone.agents.terminals import PlainTerminal, Terminal, TmuxTerminal, has_tmux
from grindstone.agents.terminus_answer import TerminusAnswer, UnusableAnswerError, parse_answer
from grindstone.errors import InputError
from grindstone.llm.messages import Model, Response, Text
from grindstone.prompts import template
from grindstone.records import StepKind, StopReason, ToolCall, Trajectory
from grindstone.sandbox.protocol import Sandbox

KEYSTROKES = "keystrokes"
"""Name of the tool call that stands for one command in the trajectory."""


class TerminusSolver:
    """Shows the model a terminal, types what it answers, and repeats.

    Args:
        tmux: Use a real terminal where the sandbox has tmux.
        confirm: Ask once more before a completion counts.
        max_malformed: Unusable answers in a row that end the attempt.
        on_step: Told of every step as it is recorded.
    """

    def __init__(
        self,
        *,
        tmux: bool = True,
        confirm: bool = True,
        max_malformed: int = 3,
        on_step: OnStep | None = None,
    ) -> None:
        self._tmux = tmux
        self._confirm = confirm
        self._max_malformed = max_malformed
        self._on_step = on_step

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None) -> Trajectory:
        """Try the task once; ends when completion is confirmed, or at a limit."""
        if model is None:
            raise InputError("terminus2", "has no model", "a model to talk to")
        meter = Meter(brief.effort)
        record = Recorder(self._on_step)
        terminal = await self._open_terminal(sandbox, meter)
        opening = (
            template("agents", "terminus_opening")
            .substitute(instruction=brief.instruction, terminal=await terminal.open())
            .strip()
        )
        record.add(StepKind.SYSTEM, brief.system_prompt)
        record.add(StepKind.USER, opening)
        talk = Conversation.of_brief(brief, model, meter, record, opening)
        trajectory = await self._converse(talk, terminal, meter, record)
        timed_out = trajectory.stop_reason is StopReason.TIME_LIMIT
        await terminal.close(end_foreground=timed_out)
        return trajectory

    async def _open_terminal(self, sandbox: Sandbox, meter: Meter) -> Terminal:
        if self._tmux and await has_tmux(sandbox, meter):
            return TmuxTerminal(sandbox, meter)
        return PlainTerminal(sandbox, meter)

    async def _converse(
        self, talk: Conversation, terminal: Terminal, meter: Meter, record: Recorder
    ) -> Trajectory:
        malformed = 0
        claimed = False  # completion was claimed in the turn before
        while (limit := meter.spent()) is None:
            response = await talk.ask()
            if response.stop_reason == "refusal":
                record.answer(response)
                return record.finish(StopReason.REFUSED, response.text)
            try:
                answer = parse_answer(response.text)
            except UnusableAnswerError as error:
                record.answer(response)
                malformed += 1
                if malformed >= self._max_malformed:
                    return record.finish(StopReason.FORMAT_ERRORS)
                complaint = _complaint(str(error), response)
                record.add(StepKind.USER, complaint)
                talk.reply(Text(text=complaint))
                continue
            malformed = 0
            shown = await self._type(response, answer, terminal, meter, record)
            if answer.task_complete and (claimed or not self._confirm):
                if meter.remaining_s <= 0:
                    break
                return record.finish(StopReason.SUBMITTED, answer.analysis or answer.plan)
            claimed = answer.task_complete
            talk.reply(Text(text=_observation(answer, shown, ask_again=claimed)))
        return record.finish(limit or StopReason.TIME_LIMIT)

    async def _type(
        self,
        response: Response,
        answer: TerminusAnswer,
        terminal: Terminal,
        meter: Meter,
        record: Recorder,
    ) -> str:
        ids = [f"{meter.steps}.{number}" for number in range(1, len(answer.commands) + 1)]
        typed = await terminal.type(answer.commands, ids)
        calls = tuple(
            ToolCall(
                call_id=call_id,
                name=KEYSTROKES,
                arguments={"keystrokes": command.text, "duration": command.duration_s},
            )
            for call_id, command in zip(ids, answer.commands, strict=True)
        )
        said = "\n".join(filter(None, (answer.analysis, answer.plan)))
        record.answer(response, calls, typed.outputs, message=said)
        return typed.shown


def legacy(*, on_step: OnStep | None = None) -> TerminusSolver:
    """Return the older protocol's solver: a plain terminal, and completion claimed once counts."""
    return TerminusSolver(tmux=False, confirm=False, on_step=on_step)


def _complaint(why: str, response: Response) -> str:
    if response.stop_reason == "max_tokens":
        why = f"it was cut off at the output limit; answer in shorter steps ({why})"
    return template("agents", "terminus_unusable").substitute(why=why).strip()


def _observation(answer: TerminusAnswer, shown: str, *, ask_again: bool) -> str:
    warnings = "".join(f"Warning: {warning}.\n" for warning in answer.warnings)
    name = "terminus_confirm" if ask_again else "terminus_observation"
    return template("agents", name).substitute(warnings=warnings, terminal=shown).strip()
