"""What the viewer's pages are told: one frozen model per address, sent as JSON."""

from pydantic import AwareDatetime, Field, JsonValue

from grindstone.base import Frozen
from grindstone.graduation.audit.remarks import Remarks
from grindstone.ledger.tables.attempts import JudgeVerdictRow, SkillUseRow
from grindstone.ledger.tables.library import WarrantRow
from grindstone.ledger.tables.runs import EvolutionRow, GateDecisionRow, IncidentRow, SkillRow
from grindstone.llm.journal import JournalEntry
from grindstone.observe.feedback import Feedback
from grindstone.records import Arm, Episode, FailureClass, Outcome, Purpose, Step, Trajectory
from grindstone.report.model import SkillEffect
from grindstone.report.run_list import RunLine
from grindstone.workspace.history import EvolutionRef


class RunsDocument(Frozen):
    """All runs of the home, the latest started last."""

    home: str
    runs: tuple[RunLine, ...]


class AttemptLine(Frozen):
    """One attempt as lists show it."""

    episode_id: str
    run_key: str
    agent_id: str
    task_id: str
    category: str
    purpose: Purpose
    arm: Arm
    cycle: int
    trial: int
    model: str
    outcome: Outcome
    reward: float | None
    tests_passed: int
    tests_total: int
    failure_class: FailureClass
    error_cause: str
    turns: int
    tokens: int
    cost_usd: float | None
    cost: str
    """The same in words, as reports have it."""
    duration_s: float
    started_at: AwareDatetime
    offered: tuple[str, ...]
    """Skills it was offered."""
    loaded: tuple[str, ...]
    """Those of them that it read."""


class OrderLine(Frozen):
    """An order the run was given while it went on."""

    at: AwareDatetime
    by: str
    via: str
    told: str


class RunDocument(Frozen):
    """One run: how it stands, what it tried, what it changed."""

    run: RunLine
    note: str
    left_out: tuple[str, ...]
    settings: dict[str, JsonValue]
    attempts: tuple[AttemptLine, ...]
    evolutions: tuple[EvolutionRow, ...]
    parts: tuple[tuple[str, str], ...]
    """What it can be held against itself by, as `run_diff.find_side` reads it."""
    gates: tuple[GateDecisionRow, ...]
    incidents: tuple[IncidentRow, ...]
    orders: tuple[OrderLine, ...]


class TurnLine(Frozen):
    """One step of a conversation, as its folded line shows it."""

    index: int
    kind: str
    title: str
    """The beginning of its first command, or of what was said."""
    seconds: float | None
    tokens_in: int | None
    tokens_out: int | None
    exit_codes: tuple[int, ...]
    failed: bool
    """A command or tool of it went wrong."""
    timed_out: bool
    loads: tuple[str, ...]
    """Skills it read."""
    repeats: tuple[str, ...]
    """Commands of it that the attempt ran three times or more."""
    call: int | None
    """Which of the attempt's model calls it is the answer of; None: of none."""


class RepeatedCommand(Frozen):
    """A command that was run three times or more."""

    command: str
    steps: tuple[int, ...]


class SkillLoad(Frozen):
    """Where a skill was read."""

    skill: str
    steps: tuple[int, ...]


class AttemptDocument(Frozen):
    """One attempt: why it ended as it did, then its conversation in lines."""

    attempt: AttemptLine
    level: str
    """How much of the verifier's word this reader may see."""
    feedback: Feedback | None
    """None: it has no verdict."""
    evidence: str
    error_detail: str
    judge: JudgeVerdictRow | None
    stop_reason: str
    submission: str
    skills: tuple[SkillUseRow, ...]
    loads: tuple[SkillLoad, ...]
    first_error: int | None
    errors: tuple[int, ...]
    repeated: tuple[RepeatedCommand, ...]
    turns: tuple[TurnLine, ...]
    chunk: int
    """Steps per chunk of `StepsDocument`."""
    previous: str | None
    """The run's attempt at the same task before this one."""
    following: str | None
    workspace_commit: str
    profile: str
    remarks: Remarks


class WholeAttempt(Frozen):
    """An attempt as a file keeps it, nothing cut."""

    episode: Episode
    trajectory: Trajectory | None
    feedback: Feedback | None
    skills: tuple[SkillUseRow, ...]


class StepsDocument(Frozen):
    """Some steps in full."""

    episode_id: str
    steps: tuple[Step, ...]
    cut: int = Field(0, description="Characters of outputs that were left out.")


class CallsDocument(Frozen):
    """The raw answers of an attempt's model, as the run's journal keeps them."""

    episode_id: str
    calls: tuple[JournalEntry, ...]


class FoundStep(Frozen):
    """A step that holds what was searched."""

    run_key: str
    episode_id: str
    task_id: str
    outcome: Outcome
    index: int
    kind: str
    excerpt: str


class SearchDocument(Frozen):
    """The first steps that hold a text."""

    text: str
    found: tuple[FoundStep, ...]
    more: bool
    """Whether there are others beside those."""
    seconds: float


class ListedSkill(Frozen):
    """One skill of an agent in a list."""

    skill: str
    present: bool
    """False: it is no longer in the library."""
    version: str
    category: str
    description: str
    warrant: str
    """What it was known to do when it was last measured; empty: never."""
    effect: SkillEffect | None
    """As observed in all attempts of the agent; None: it was never offered."""


class AgentSkills(Frozen):
    """What one agent knows and knew."""

    agent_id: str
    skills: tuple[ListedSkill, ...]
    broken: tuple[str, ...]


class SkillsDocument(Frozen):
    """The skills of all agents."""

    agents: tuple[AgentSkills, ...]


class SkillVersion(Frozen):
    """A commit that changed a skill."""

    change: EvolutionRef
    diff: str
    """git's, of the skill's folder alone."""


class TaskUse(Frozen):
    """How a skill was used at one task."""

    task_id: str
    offered: int
    loaded: int
    followed: int
    loaded_and_passed: int


class SkillDocument(Frozen):
    """One skill: what it says, how it came about, where it was used and what it does."""

    agent_id: str
    skill: str
    scope: str
    """general, or task: it is offered to its own task alone."""
    present: bool
    text: str
    """Its SKILL.md as it is, or last was."""
    versions: tuple[SkillVersion, ...]
    """The latest first."""
    effect: SkillEffect | None
    warrant: WarrantRow | None
    """The newest that it earned, in a comparison with and without it."""
    lapsed: str
    """Why the warrant no longer holds; empty while it does."""
    taught: tuple[SkillRow, ...]
    tasks: tuple[TaskUse, ...]
    attempts: tuple[AttemptLine, ...]
    """Those that read it, the latest last."""


class TrendPoint(Frozen):
    """How an agent did in one run; `low` and `high` are Wilson's 95% interval."""

    run_key: str
    kind: str
    at: AwareDatetime
    tasks: int
    """With a score."""
    passed: int
    low: float
    high: float


class TaskMark(Frozen):
    """How a task ended in one run."""

    run_key: str
    episode_id: str
    outcome: Outcome


class TaskTrend(Frozen):
    """One task over the runs, in the order of the runs."""

    task_id: str
    marks: tuple[TaskMark, ...]


class AgentTrend(Frozen):
    """One agent over its runs."""

    agent_id: str
    points: tuple[TrendPoint, ...]
    tasks: tuple[TaskTrend, ...]


class TrendsDocument(Frozen):
    """Agents and tasks over time."""

    agents: tuple[AgentTrend, ...]
