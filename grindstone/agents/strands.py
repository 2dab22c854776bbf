"""The `strands` profile: a model, a few tools, and the loop."""

from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.loop import MAX_MALFORMED, converse
from grindstone.agents.protocol import Brief
from grindstone.agents.recorder import OnStep, Recorder
from grindstone.agents.tools import SandboxTools
from grindstone.errors import InputError
from grindstone.llm.messages import Model
from grindstone.records import StepKind, Trajectory
from grindstone.sandbox.protocol import Sandbox


class StrandsSolver:
    """Asks the model, runs the tools it calls, tells it what came of them, and repeats.

    Args:
        max_malformed: Turns in a row without one usable call that end the attempt.
        on_step: Told of every step as it is recorded.
    """

    def __init__(
        self, *, max_malformed: int = MAX_MALFORMED, on_step: OnStep | None = None
    ) -> None:
        self._max_malformed = max_malformed
        self._on_step = on_step

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None) -> Trajectory:
        """Try the task once; ends when the model stops calling tools, or at a limit."""
        if model is None:
            raise InputError("strands", "has no model", "a model to talk to")
        meter = Meter(brief.effort)
        record = Recorder(self._on_step)
        talk = Conversation.of_brief(brief, model, meter, record)
        record.add(StepKind.SYSTEM, brief.system_prompt)
        record.add(StepKind.USER, brief.instruction)
        tools = SandboxTools(sandbox, brief.skills, meter)
        return await converse(talk, tools, meter, record, max_malformed=self._max_malformed)
