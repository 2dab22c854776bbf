"""The words all rooms share: usage, steps, trajectories, verdicts, episodes.

Each is frozen, serialises to plain JSON and names its columns as the ledger does.
Times are UTC and aware; durations are seconds (`_s`), money is US dollars (`_usd`).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field, JsonValue, NonNegativeFloat, NonNegativeInt

from grindstone.base import Frozen


class Usage(Frozen):
    """Tokens of one or more model calls, as the provider counts them."""

    input_tokens: NonNegativeInt = Field(0, description="Uncached prompt tokens.")
    output_tokens: NonNegativeInt = 0
    cache_read_tokens: NonNegativeInt = 0
    cache_write_tokens: NonNegativeInt = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )

    def beyond(self, other: "Usage") -> "Usage":
        """Return what it has more than another, of each kind; none where it has less."""
        mine, theirs = self.model_dump(), other.model_dump()
        return Usage(**{kind: max(0, n - theirs[kind]) for kind, n in mine.items()})

    @property
    def total_tokens(self) -> int:
        """All tokens, cached ones included."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
        )


class Role(StrEnum):
    """On whose behalf a model is called."""

    SOLVER = "solver"
    EVOLVER = "evolver"
    JUDGE = "judge"
    SUMMARY = "summary"
    DISTILLATION = "distillation"
    TASK_SKILL = "task_skill"
    CLASSIFIER = "classifier"


class ToolCall(Frozen):
    """One thing the agent asked to be done."""

    call_id: str
    name: str = Field(description="The tool, such as bash or load_skill.")
    arguments: dict[str, JsonValue] = {}


class ToolOutput(Frozen):
    """What came of one `ToolCall`."""

    call_id: str
    content: str
    is_error: bool = Field(False, description="The tool refused or could not be run.")
    exit_code: int | None = Field(None, description="Of a command; None for other tools.")
    timed_out: bool = Field(False, description="Ended by the sandbox at its time limit.")
    duration_s: NonNegativeFloat = 0.0


class StepKind(StrEnum):
    """What a step of a trajectory is."""

    SYSTEM = "system"
    USER = "user"
    AGENT = "agent"
    SUMMARY = "summary"  # earlier steps left the model's context; this stands for them


class Step(Frozen):
    """One turn of the conversation, with what its tool calls gave."""

    index: NonNegativeInt
    kind: StepKind
    message: str = ""
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    outputs: tuple[ToolOutput, ...] = ()
    usage: Usage | None = None
    at: AwareDatetime

    @property
    def met_error(self) -> bool:
        """Whether a tool was refused, ran out of time or ended with another exit code than 0."""
        return any(each.is_error or each.timed_out or each.exit_code for each in self.outputs)


class StopReason(StrEnum):
    """Why an agent's turn ended."""

    SUBMITTED = "submitted"  # the agent said it was done
    STEP_LIMIT = "step_limit"
    TIME_LIMIT = "time_limit"
    TOKEN_LIMIT = "token_limit"
    FORMAT_ERRORS = "format_errors"  # too many unusable answers in a row
    REFUSED = "refused"  # the model declined
    PROGRAM_FAILED = "program_failed"  # an agent's own program ended with an error


class Trajectory(Frozen):
    """All steps of one attempt and how it ended."""

    steps: tuple[Step, ...]
    stop_reason: StopReason
    submission: str = Field("", description="The agent's closing words.")

    @property
    def usage(self) -> Usage:
        """The tokens of all steps."""
        total = Usage()
        for step in self.steps:
            if step.usage is not None:
                total = total + step.usage
        return total


class TestResult(Frozen):
    """One test of a verifier's report."""

    __test__ = False  # not a pytest class

    name: str
    status: Literal["passed", "failed", "skipped", "error"]
    message: str = Field("", description="The failure's text; never shown to the agent.")


class FailureClass(StrEnum):
    """Why an attempt did not pass, as far as the verdict tells."""

    NONE = "none"
    TEST_FAIL = "test_fail"
    AGENT_TIMEOUT = "agent_timeout"
    NOT_SUBMITTED = "not_submitted"  # ended at a limit of steps, tokens or format errors, or broke


Basis = Literal["tests", "settled", "disputed", "void"]
"""What a score rests on. `tests`: the tests' verdict beside the agent's leavings. `settled`: the
same verdict there and in a fresh sandbox, after the first one was in doubt. `disputed`: the two
differ, or contradict themselves; worth nothing unless trusted. `void`: the agent made a verdict
impossible; worth nothing."""


class Verdict(Frozen):
    """What the verifier said of one attempt."""

    reward: float = Field(ge=0.0, le=1.0)
    passed: bool = Field(description="Whether the reward, under the score mode, is full.")
    tests: tuple[TestResult, ...] = ()
    output: str = Field("", description="The verifier's output; never shown to the agent.")
    exit_code: int | None = None
    duration_s: NonNegativeFloat = 0.0
    basis: Basis = "tests"
    evidence: tuple[str, ...] = Field((), description="What spoke against the first verdict.")
    leftovers: str = Field(
        "", description="What ran when the tests began: 'ended' or 'kept', how many, which."
    )

    @property
    def tests_passed(self) -> int:
        """How many tests passed; skipped ones are not passed."""
        return sum(test.status == "passed" for test in self.tests)


class Purpose(StrEnum):
    """Why an attempt was made, which decides what it counts for."""

    GRIND = "grind"
    ADAPT = "adapt"
    GATE = "gate"
    COMPARE = "compare"
    ABLATE = "ablate"  # with a whole library, or without one skill of it
    CHECK = "check"
    CONFIRM = "confirm"  # of a failure, before it teaches; counts in no rate
    EXAM = "exam"
    RELEASE = "release"
    TRAIN = "train"
    ROUTE = "route"
    IMPORT = "import"
    IMPOSSIBLE = "impossible"  # at a task that was planted to be forged; counts in no rate

    @property
    def in_run(self) -> bool:
        """Whether a run that also gates, compares or checks is about it.

        A routed attempt stands for itself: it is no part of the learning around it.
        """
        return self in (Purpose.GRIND, Purpose.ADAPT, Purpose.TRAIN, Purpose.IMPORT)

    @property
    def in_record(self) -> bool:
        """Whether it is part of an agent's record, by which it is promoted.

        Gates and comparisons try an agent as it may never be, checks try a task, and an exam is
        a requirement of its own.
        """
        return self.in_run or self is Purpose.ROUTE

    @property
    def trains(self) -> bool:
        """Whether the agent is changed by what came of it."""
        return self in (Purpose.GRIND, Purpose.ADAPT, Purpose.TRAIN)

    @property
    def practises(self) -> bool:
        """Whether the agent learns from what came of it; such a task is held out no more."""
        return self in (Purpose.GRIND, Purpose.ADAPT)

    @property
    def live(self) -> bool:
        """Whether the work was meant, as opposed to training, where failing is how one learns."""
        return self in (Purpose.ROUTE, Purpose.IMPORT)

    @property
    def shows_competency(self) -> bool:
        """Whether it tells what the agent can do now.

        Gates and comparisons try changes that may have been rejected, checks try a task. An exam
        is the agent itself, so it tells, though it is no part of the record.
        """
        return self.in_record or self is Purpose.EXAM


class Arm(StrEnum):
    """Which side of a comparison an attempt is."""

    NONE = ""  # of no comparison
    BASELINE = "baseline"
    CANDIDATE = "candidate"
    WITH = "with"  # its skills
    WITHOUT = "without"

    @property
    def lacks(self) -> bool:
        """Whether the agent was kept from what its workspace holds."""
        return self is Arm.WITHOUT

    @property
    def up_to_date(self) -> bool:
        """Whether the agent had all it knew by then; on the other sides it lacks some."""
        return self not in (Arm.BASELINE, Arm.WITHOUT)


class Outcome(StrEnum):
    """What became of an attempt."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"  # infrastructure: no score

    @property
    def mark(self) -> str:
        """The sign that stands for it in lists."""
        return {"passed": "✓", "failed": "✗"}.get(self.value, "⚠")


class Episode(Frozen):
    """One attempt, as the ledger keeps it: the unit everything else is computed from.

    `episode_id` is a digest of what was tried (task, workspace, model, profile,
    settings, trial) within a run, so writing it twice changes nothing.
    """

    episode_id: str
    run_key: str
    agent_id: str
    purpose: Purpose
    arm: Arm = Field(
        Arm.NONE, description="'baseline', 'candidate', 'with' or 'without'; else empty."
    )
    task_id: str
    task_digest: str = ""
    category: str = ""
    difficulty: str = ""
    tags: tuple[str, ...] = ()
    title: str = ""
    topics: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = {}
    workspace_commit: str = ""
    workspace_tree: str = Field("", description="git tree id: the workspace by content.")
    model: str = ""
    profile: str = ""
    sandbox: str = ""
    rehearsal: bool = Field(False, description="Played by the offline rehearsal server.")
    trial: NonNegativeInt = 0
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    batch: NonNegativeInt = 0
    outcome: Outcome
    reward: float | None = Field(None, ge=0.0, le=1.0, description="None on an error.")
    score: float | None = Field(None, ge=0.0, le=1.0, description="Reward under the score mode.")
    failure_class: FailureClass = FailureClass.NONE
    error_cause: str = ""
    error_detail: str = ""
    basis: Basis = "tests"
    evidence: str = Field("", description="Why the score does not rest on the tests alone.")
    exposed: bool = Field(
        False, description="The task's tests seem to lend the agent's programs their rights."
    )
    memory_mb: NonNegativeInt = Field(0, description="Promised to the sandbox; 0: not recorded.")
    memory_limit_mb: NonNegativeInt = Field(
        0, description="Where the kernel ends its processes; 0: not recorded."
    )
    memory_kills: NonNegativeInt = Field(
        0, description="Processes ended for memory in an attempt that did not pass."
    )
    stop_reason: str = ""
    turns: NonNegativeInt = 0
    tool_calls: NonNegativeInt = 0
    tests_passed: NonNegativeInt = 0
    tests_total: NonNegativeInt = 0
    usage: Usage = Usage()
    cost_usd: float | None = Field(None, ge=0.0, description="None: price unknown.")
    maturity: str = Field("", description="The agent's level when the attempt began.")
    confidence: float | None = Field(None, ge=0.0, le=1.0)
    constitutional_score: float | None = Field(
        None, ge=0.0, le=1.0, description="As its recorder stated it; checks are in compliance."
    )
    human_intervention_count: NonNegativeInt = Field(
        0, description="Corrections its recorder counted without detailing; add interventions."
    )
    started_at: AwareDatetime
    ended_at: AwareDatetime

    @property
    def id(self) -> str:
        """The episode's id, by its short name."""
        return self.episode_id

    @property
    def duration_s(self) -> float:
        """Wall-clock seconds."""
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def passed(self) -> bool | None:
        """True or False for a score, None for an infrastructure error."""
        return None if self.outcome is Outcome.ERROR else self.outcome is Outcome.PASSED

    @property
    def graded(self) -> str:
        """What its verifier said, in two words: the tests, or the reward where it told no tests."""
        if self.tests_total:
            did = "" if self.tests_passed == self.tests_total else " passed"
            return f"{self.tests_passed}/{self.tests_total} tests{did}"
        return f"reward {self.reward or 0:.2f}"


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)
