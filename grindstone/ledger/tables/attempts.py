"""Rows about one attempt: its trajectory, its verdict, the skills it had, its signals."""

from typing import ClassVar

from pydantic import Field, JsonValue, NonNegativeFloat, NonNegativeInt

from grindstone.ledger.row import Row
from grindstone.records import (
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
    Verdict,
)


class TrajectoryRow(Row):
    """How one attempt's conversation ended; its steps are in trajectory_steps."""

    table: ClassVar[str] = "trajectories"
    key: ClassVar[tuple[str, ...]] = ("episode_id",)

    episode_id: str
    stop_reason: StopReason
    submission: str = Field("", description="The agent's closing words.")
    n_steps: NonNegativeInt = 0
    usage: Usage = Usage()


class StepRow(Step, Row):
    """One turn of an attempt's conversation, with its tool calls and what they gave."""

    table: ClassVar[str] = "trajectory_steps"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "index")
    derived: ClassVar[tuple[str, ...]] = ("call_names", "commands", "exit_codes", "n_errors")

    episode_id: str

    @property
    def call_names(self) -> tuple[str, ...]:
        """The tools that were called, in order."""
        return tuple(call.name for call in self.calls)

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands or keystrokes that were sent, in order."""
        return tuple(text for call in self.calls for text in _commands(call))

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """The exit codes of those outputs that have one."""
        return tuple(out.exit_code for out in self.outputs if out.exit_code is not None)

    @property
    def n_errors(self) -> int:
        """How many outputs are errors, time-outs or of a non-zero exit code."""
        return sum(_failed(output) for output in self.outputs)


class VerdictRow(Row):
    """What the verifier said of one attempt; `output` may quote tests, so no agent sees it."""

    table: ClassVar[str] = "verdicts"
    key: ClassVar[tuple[str, ...]] = ("episode_id",)

    episode_id: str
    reward: float = Field(ge=0.0, le=1.0)
    passed: bool
    exit_code: int | None = None
    tests_passed: NonNegativeInt = 0
    tests_total: NonNegativeInt = 0
    duration_s: NonNegativeFloat = Field(0.0, description="Seconds the verifier took.")
    output: str = Field("", description="The verifier's output.")


class TestResultRow(Row):
    """One test of a verdict; `message` may quote tests, so no agent sees it."""

    __test__ = False  # not a pytest class

    table: ClassVar[str] = "test_results"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "position")

    episode_id: str
    position: NonNegativeInt = Field(description="Place in the verifier's report, from 0.")
    name: str
    status: str = Field(description="passed, failed, skipped or error.")
    message: str = ""


class SkillUseRow(Row):
    """One skill in one attempt: offered, loaded and followed, and how it was chosen."""

    table: ClassVar[str] = "skill_uses"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "scope", "skill")

    episode_id: str
    skill: str
    skill_digest: str = ""
    scope: str = Field("general", description="general: shared by all tasks; task: this one's own.")
    selection_method: str = Field("", description="all, keyword, semantic, bm25 or own.")
    selection_score: float | None = None
    selection_reason: str = Field("", description="In words, such as what was shared.")
    offered: bool = True
    loaded: bool = False
    followed: bool = Field(False, description="At least half of the commands it teaches were run.")
    matched_commands: NonNegativeInt = Field(
        0, description="Of the taught ones, how many were run."
    )
    taught_commands: NonNegativeInt = Field(0, description="In its fenced shell blocks.")


class SignalsRow(Row):
    """What an attempt's behaviour shows without its verdict."""

    table: ClassVar[str] = "signals"
    key: ClassVar[tuple[str, ...]] = ("episode_id",)

    episode_id: str
    task_id: str = ""
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    n_turns: NonNegativeInt = 0
    n_tool_calls: NonNegativeInt = 0
    n_errors: NonNegativeInt = 0
    n_timeouts: NonNegativeInt = 0
    tools_used: dict[str, JsonValue] = Field({}, description="Calls per tool.")
    repeated_commands: tuple[str, ...] = Field((), description="Commands run three times or more.")
    submitted: bool = False
    submission: str = ""
    error_snippets: tuple[str, ...] = ()


class JudgeVerdictRow(Row):
    """What the judge made of one attempt, without its verdict."""

    table: ClassVar[str] = "judge_verdicts"
    key: ClassVar[tuple[str, ...]] = ("episode_id",)

    episode_id: str
    task_id: str = ""
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    score: int | None = Field(None, ge=0, le=10, description="None: the answer was unusable.")
    category: str = ""
    outcome: str = ""
    failure_reason: str = ""
    confidence: float | None = None
    model: str = ""
    error: str = Field("", description="Why there is no score.")


def trajectory_rows(
    episode_id: str, trajectory: Trajectory
) -> tuple[TrajectoryRow, tuple[StepRow, ...]]:
    """Return the rows of an attempt's trajectory, for two calls of `Ledger.append`."""
    whole = TrajectoryRow(
        episode_id=episode_id,
        stop_reason=trajectory.stop_reason,
        submission=trajectory.submission,
        n_steps=len(trajectory.steps),
        usage=trajectory.usage,
    )
    steps = tuple(
        StepRow(episode_id=episode_id, **{name: getattr(step, name) for name in Step.model_fields})
        for step in trajectory.steps
    )
    return whole, steps


def trajectory_of(whole: TrajectoryRow, steps: list[StepRow]) -> Trajectory:
    """Return the trajectory that `trajectory_rows` laid out."""
    return Trajectory(
        steps=steps_of(steps),
        stop_reason=whole.stop_reason,
        submission=whole.submission,
    )


def steps_of(rows: list[StepRow]) -> tuple[Step, ...]:
    """Return the steps that `trajectory_rows` laid out, in their order."""
    return tuple(
        Step(**{name: getattr(row, name) for name in Step.model_fields})
        for row in sorted(rows, key=lambda row: row.index)
    )


def verdict_rows(episode_id: str, verdict: Verdict) -> tuple[VerdictRow, tuple[TestResultRow, ...]]:
    """Return the rows of an attempt's verdict, for two calls of `Ledger.append`."""
    whole = VerdictRow(
        episode_id=episode_id,
        reward=verdict.reward,
        passed=verdict.passed,
        exit_code=verdict.exit_code,
        tests_passed=verdict.tests_passed,
        tests_total=len(verdict.tests),
        duration_s=verdict.duration_s,
        output=verdict.output,
    )
    tests = tuple(
        TestResultRow(
            episode_id=episode_id,
            position=position,
            name=test.name,
            status=test.status,
            message=test.message,
        )
        for position, test in enumerate(verdict.tests)
    )
    return whole, tests


def _commands(call: ToolCall) -> tuple[str, ...]:
    """The text of a call's command, under the names that the profiles' tools use."""
    for name in ("command", "keystrokes"):
        value = call.arguments.get(name)
        if isinstance(value, str):
            return (value,)
    return ()


def _failed(output: ToolOutput) -> bool:
    return output.is_error or output.timed_out or output.exit_code not in (None, 0)


__all__ = [
    "JudgeVerdictRow",
    "SignalsRow",
    "SkillUseRow",
    "StepKind",
    "StepRow",
    "TestResultRow",
    "TrajectoryRow",
    "VerdictRow",
    "steps_of",
    "trajectory_of",
    "trajectory_rows",
    "verdict_rows",
]
