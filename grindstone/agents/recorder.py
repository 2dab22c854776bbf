"""Keeping a trajectory while it happens."""

from collections.abc import Callable

from grindstone.llm.messages import Opaque, Response
from grindstone.records import (
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
    utc_now,
)

OnStep = Callable[[Step], None]
"""Told of every step as soon as it is recorded, such as by a live view."""


class Recorder:
    """Collects the steps of one attempt in order."""

    def __init__(self, on_step: OnStep | None = None) -> None:
        self._steps: list[Step] = []
        self._on_step = on_step

    def add(
        self,
        kind: StepKind,
        message: str,
        *,
        reasoning: str = "",
        calls: tuple[ToolCall, ...] = (),
        outputs: tuple[ToolOutput, ...] = (),
        usage: Usage | None = None,
    ) -> None:
        """Record one step, stamped with the present time."""
        step = Step(
            index=len(self._steps),
            kind=kind,
            message=message,
            reasoning=reasoning,
            calls=calls,
            outputs=outputs,
            usage=usage,
            at=utc_now(),
        )
        self._steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    def answer(
        self,
        response: Response,
        calls: tuple[ToolCall, ...] = (),
        outputs: tuple[ToolOutput, ...] = (),
        *,
        message: str | None = None,
    ) -> None:
        """Record one answer of the model with what came of it.

        Args:
            response: The answer.
            calls: What it asked for.
            outputs: What each call gave.
            message: Its words where they are not simply its text.
        """
        self.add(
            StepKind.AGENT,
            response.text if message is None else message,
            reasoning=reasoning_of(response),
            calls=calls,
            outputs=outputs,
            usage=response.usage,
        )

    def finish(self, reason: StopReason, submission: str = "") -> Trajectory:
        """Return the trajectory so far with how it ended."""
        return Trajectory(steps=tuple(self._steps), stop_reason=reason, submission=submission)


def reasoning_of(response: Response) -> str:
    """Return the thinking an answer shows, empty where it shows none."""
    thoughts = (
        block.data.get("thinking") for block in response.content if isinstance(block, Opaque)
    )
    return "\n".join(thought for thought in thoughts if isinstance(thought, str))
