"""What the report of a run holds; `build_report` fills it, the pages and exports show it."""

from pydantic import AwareDatetime

from grindstone.base import Frozen
from grindstone.ledger.intervals import Interval
from grindstone.ledger.tables.releases import ReleaseRow
from grindstone.ledger.tables.runs import EglRow, GateDecisionRow
from grindstone.records import Outcome
from grindstone.report.comparison import Comparison
from grindstone.steering import GivenOrder


class VerdictEntry(Frozen):
    """One attempt in a task's row of the verdict table."""

    episode_id: str
    cycle: int
    trial: int
    outcome: Outcome
    tests_passed: int
    tests_total: int


class TaskLine(Frozen):
    """How one task went."""

    task_id: str
    category: str
    difficulty: str
    attempts: tuple[VerdictEntry, ...]
    first_passed: bool | None
    passed: bool | None
    needed_grinding: bool
    resolved_by_grinding: bool
    resolved_unchanged: bool
    """Whether the state of the agent that passed had failed before: luck, and nothing learned."""
    helped: tuple[str, ...]
    """Skills that the passing attempt loaded or followed."""
    cost_usd: float | None
    unpriced_calls: int
    duration_s: float


class GroupLine(Frozen):
    """The scored tasks of a category, a difficulty or a cycle."""

    name: str
    tasks: int
    passed: int
    first_passed: int
    ratio: float | None
    low: float | None = None
    high: float | None = None


class CycleLine(Frozen):
    """The attempts of one cycle."""

    cycle: int
    attempts: int
    passed: int
    ratio: float | None
    errors: int
    solved_so_far: int


class CostLine(Frozen):
    """What one role's calls used; `cost_usd` is the sum of the known prices."""

    role: str
    calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float | None
    unpriced: int


class EditedFile(Frozen):
    """A file beside the skills that changes which stand have touched."""

    path: str
    evolutions: tuple[int, ...]


class LearnedSkill(Frozen):
    """A skill that the run brought about."""

    skill: str
    scope: str
    description: str
    learned_from: tuple[str, ...]
    of_a_batch: bool = False
    """Several tasks were shown at once, and nobody knows which of them taught it."""
    helped: tuple[str, ...]
    """Tasks that passed with it."""
    evo_number: int
    effect: Interval | None = None


class SkillEffect(Frozen):
    """How often a skill was offered, loaded and followed, and how attempts went with it.

    Counts are of scored attempts; `difference` is the pass rate with it loaded minus that
    without, at the tasks where it was ever loaded, with Newcombe's 95% interval.
    """

    skill: str
    scope: str
    offered: int
    loaded: int
    followed: int
    with_passed: int
    with_total: int
    without_passed: int
    without_total: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None


class Refused(Frozen):
    """A change that was not let through."""

    evo_number: int
    path: str
    rule: str
    reason: str


class Spoiled(Frozen):
    """An attempt without a score: infrastructure failed."""

    episode_id: str
    task_id: str
    cycle: int
    cause: str
    detail: str


class Doubted(Frozen):
    """An attempt whose score does not rest on the first verdict of its tests."""

    episode_id: str
    task_id: str
    cycle: int
    basis: str
    evidence: str


class Planted(Frozen):
    """What came of the attempts at tasks that nobody can solve."""

    scored: int
    forged: int
    """Those that were paid anything."""
    tasks: tuple[str, ...]
    """Where."""
    unscored: int


class TriedAgain(Frozen):
    """A failure that looked like its surroundings', tried again before it taught."""

    task_id: str
    cycle: int
    outcome: Outcome
    """Of the last try; passed: nothing was learned from the failure."""


class InQuarantine(Frozen):
    """A task that was found to be at fault itself."""

    task_id: str
    signs: tuple[str, ...]
    reason: str


class IncidentLine(Frozen):
    """A step that an error nobody foresaw has cost."""

    step: str
    error: str
    traceback_file: str
    """In the run's folder."""


class RunReport(Frozen):
    """All of it; a ratio without a scored task is None, a cost without a price too."""

    run_key: str
    kind: str = ""
    status: str = ""
    agent_id: str = ""
    model: str = ""
    profile: str = ""
    sandbox: str = ""
    rehearsal: bool = False
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    n_tasks: int = 0
    n_scored: int = 0
    n_attempts: int = 0
    passed: int = 0
    pass_ratio: float | None = None
    pass_interval: Interval | None = None
    first_passed: int = 0
    needed_grinding: int = 0
    resolved_by_grinding: int = 0
    resolved_unchanged: int = 0
    by_category: tuple[GroupLine, ...] = ()
    by_difficulty: tuple[GroupLine, ...] = ()
    by_cycle: tuple[CycleLine, ...] = ()
    tasks: tuple[TaskLine, ...] = ()
    costs: tuple[CostLine, ...] = ()
    cost_usd: float | None = None
    total_tokens: int = 0
    unpriced_calls: int = 0
    learned: tuple[LearnedSkill, ...] = ()
    skill_effects: tuple[SkillEffect, ...] = ()
    refused: tuple[Refused, ...] = ()
    errors: tuple[Spoiled, ...] = ()
    doubted: tuple[Doubted, ...] = ()
    exposed_tasks: tuple[str, ...] = ()
    planted: Planted | None = None
    tried_again: tuple[TriedAgain, ...] = ()
    quarantined: tuple[InQuarantine, ...] = ()
    incidents: tuple[IncidentLine, ...] = ()
    orders: tuple[GivenOrder, ...] = ()
    """What it was told while it went on."""
    left_out: tuple[str, ...] = ()
    """What is wrong with the tasks that were left out because they are broken."""
    n_evolutions: int = 0
    """Numbered changes of the workspace that stand. Drafts and tasks' own skills have no number."""
    egl: tuple[EglRow, ...] = ()
    converged: bool | None = None
    gates: tuple[GateDecisionRow, ...] = ()
    gates_note: str = ""
    """What the gates' figures are worth, where there is anything to say."""
    comparison: Comparison | None = None
    release: ReleaseRow | None = None
    """What a release said of its sealed tasks."""
    edited: tuple[EditedFile, ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds from the first attempt's start to the last one's end."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.started_at).total_seconds()


def to_json(report: RunReport) -> str:
    """Return the report as JSON, indented, fields in their declared order."""
    return report.model_dump_json(indent=2) + "\n"
