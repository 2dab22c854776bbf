"""Rows about a run: its state, its evolutions, its skills, its gate."""

from typing import ClassVar

from pydantic import AwareDatetime, Field, JsonValue, NonNegativeFloat, NonNegativeInt

from grindstone.base import Frozen
from grindstone.ledger.row import Row
from grindstone.records import Arm, Usage
from grindstone.sandbox.owner import Owner

RUNNING = "running"
BROKEN_OFF = "broken off"
"""What a run is called whose process died before it could say how it ended."""


class RunRow(Row):
    """A change of a run's state; the latest sequence is the present one."""

    table: ClassVar[str] = "runs"
    key: ClassVar[tuple[str, ...]] = ("run_key", "sequence")

    run_key: str
    sequence: NonNegativeInt = Field(description="0: first start; then one more per change.")
    kind: str = Field(description="grind, adapt, gate, compare, check, …")
    status: str = Field(
        description="running, completed, stopped (by a budget), interrupted or failed. Read as "
        "broken off: running, where the process that said so is gone."
    )
    agent_id: str = ""
    model: str = ""
    profile: str = ""
    sandbox: str = ""
    rehearsal: bool = False
    settings: dict[str, JsonValue] = {}
    n_tasks: NonNegativeInt = 0
    left_out: tuple[str, ...] = Field((), description="What is wrong with tasks left out.")
    converged: bool | None = None
    note: str = ""
    owner_host: str = Field("", description="Machine and boot of the process that drives it.")
    owner_pid: NonNegativeInt = Field(0, description="Its number; 0: not known.")
    owner_started: str = Field("", description="When it started, in clock ticks since the boot.")
    at: AwareDatetime

    @property
    def present_status(self) -> str:
        """The status, but for one that its process can no longer correct."""
        if self.status != RUNNING or not self.owner_pid:
            return self.status
        owner = Owner(self.owner_host, self.owner_pid, self.owner_started)
        return RUNNING if owner.alive() else BROKEN_OFF


class IncidentRow(Row):
    """An error nobody foresaw, and the step of a run that it cost."""

    table: ClassVar[str] = "incidents"
    key: ClassVar[tuple[str, ...]] = ("run_key", "incident_id")

    run_key: str
    incident_id: str
    step: str = Field(description="What was being done.")
    error: str = Field(description="Class and message of the exception, cut.")
    traceback_file: str = Field("", description="In the run's folder.")
    episode_id: str = Field("", description="Of the attempt it cost; a score of it settles it.")
    settled: bool = Field(
        False, description="No error: the step was done again, and what it lost before is no loss."
    )
    at: AwareDatetime


class QuarantineRow(Row):
    """A task found to be at fault itself: runs that learn leave it alone for a while."""

    table: ClassVar[str] = "quarantines"
    key: ClassVar[tuple[str, ...]] = ("run_key", "task_id")

    run_key: str
    task_id: str
    task_digest: str = Field(description="A task whose files were mended is another one.")
    signs: tuple[str, ...] = Field((), description="What made its failure look like weather.")
    reason: str = Field(description="What its own solution, or doing nothing, showed.")
    at: AwareDatetime


class Refusal(Frozen):
    """A change that was not let through."""

    path: str
    rule: str
    reason: str = ""


class EvolutionRow(Row):
    """One evolution of a workspace: what changed, what was refused, what it cost."""

    table: ClassVar[str] = "evolutions"
    key: ClassVar[tuple[str, ...]] = ("run_key", "agent_id", "evo_number", "step")

    run_key: str
    evo_number: NonNegativeInt
    step: str = Field(
        "evolve", description="evolve, task_skill, distill, promote, gate or whatever changed it."
    )
    batch: NonNegativeInt = 0
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    agent_id: str = ""
    task_ids: tuple[str, ...] = Field((), description="The tasks it learned from.")
    commit_before: str = ""
    commit_after: str = ""
    tree_before: str = ""
    tree_after: str = ""
    skills_before: tuple[str, ...] = ()
    skills_after: tuple[str, ...] = ()
    skills_added: tuple[str, ...] = ()
    skills_changed: tuple[str, ...] = ()
    skills_removed: tuple[str, ...] = ()
    others_changed: tuple[str, ...] = Field((), description="Files of prompts, memory, tools.")
    refusals: tuple[Refusal, ...] = ()
    usage: Usage = Usage()
    cost_usd: float | None = Field(None, ge=0.0, description="None: price unknown.")
    accepted: bool = True
    note: str = ""
    duration_s: NonNegativeFloat = 0.0
    at: AwareDatetime


class SkillRow(Row):
    """A skill as an evolution left it: what the report shows of what was learned."""

    table: ClassVar[str] = "skills"
    key: ClassVar[tuple[str, ...]] = ("run_key", "agent_id", "scope", "skill", "skill_digest")

    run_key: str
    agent_id: str = ""
    skill: str
    skill_digest: str
    scope: str = Field("general", description="general, task or draft.")
    task_id: str = Field("", description="The task a task skill belongs to.")
    version: str = ""
    category: str = ""
    description: str = ""
    n_chars: NonNegativeInt = 0
    evo_number: NonNegativeInt = 0
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    learned_from: tuple[str, ...] = Field((), description="The tasks whose failures taught it.")


class CycleNote(Frozen):
    """What a cycle adds to the library's stability."""

    new_skills: NonNegativeInt
    solved: tuple[str, ...] = ()


class BatchRow(Row):
    """A batch that was worked through; a resumed run goes on after it."""

    table: ClassVar[str] = "batches"
    key: ClassVar[tuple[str, ...]] = ("run_key", "batch")

    run_key: str
    batch: NonNegativeInt
    task_ids: tuple[str, ...]
    unscored: tuple[str, ...] = Field(
        (), description="Tasks that infrastructure kept from a score; a resumed run tries them."
    )
    cycles: tuple[CycleNote, ...] = ()
    commit_after: str
    tree_after: str
    skills_digest_after: str
    at: AwareDatetime


class EglRow(Row):
    """Evolutionary Generality Loss after one cycle."""

    table: ClassVar[str] = "egl"
    key: ClassVar[tuple[str, ...]] = ("run_key", "index")

    run_key: str
    index: NonNegativeInt = Field(description="The cycle or batch, from 0.")
    new_skills: NonNegativeInt
    tasks_solved: NonNegativeInt = Field(description="Distinct tasks solved so far.")
    cumulative_skills: NonNegativeInt = 0
    egl: float | None = Field(None, description="Skills per 1000 tasks; None: nothing solved yet.")
    threshold: float | None = None
    converged: bool = False


class PatternRow(Row):
    """A failure the judge saw in at least two tasks of a cycle."""

    table: ClassVar[str] = "patterns"
    key: ClassVar[tuple[str, ...]] = ("run_key", "cycle", "category", "reason")

    run_key: str
    cycle: NonNegativeInt = Field(description="Counts from 1.")
    category: str
    reason: str
    task_ids: tuple[str, ...] = ()
    lowest_score: float = 0.0
    mean_score: float = 0.0


class GatePairRow(Row):
    """One holdout task and trial, before and after a change; a missing side is null."""

    table: ClassVar[str] = "gate_pairs"
    key: ClassVar[tuple[str, ...]] = ("run_key", "gate_id", "task_id", "trial")

    run_key: str
    gate_id: str = Field(description="Which gate of the run, such as 'cycle-2'.")
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    task_id: str
    category: str = ""
    cluster: str = Field("", description="What the task counts with; empty: itself alone.")
    trial: NonNegativeInt = 0
    baseline_episode_id: str = ""
    candidate_episode_id: str = ""
    baseline_score: float | None = None
    candidate_score: float | None = None
    broke: Arm = Field(
        Arm.NONE,
        description="Side whose attempt has no score by what it may have brought about itself, "
        "and counts as 0, since the other one has a score.",
    )


class GateDecisionRow(Row):
    """What a gate decided about a change, and on what evidence."""

    table: ClassVar[str] = "gate_decisions"
    key: ClassVar[tuple[str, ...]] = ("run_key", "gate_id")

    run_key: str
    gate_id: str
    cycle: NonNegativeInt = Field(0, description="Counts from 1; 0: in no cycle.")
    rule: str = Field(description="higher, threshold, no_regression or improvement.")
    verdict: str = Field(description="accept, reject or cannot_tell.")
    accepted: bool
    n_pairs: NonNegativeInt = 0
    n_missing: NonNegativeInt = 0
    n_left_out: NonNegativeInt = Field(
        0, description="Pairs that were not made, since they could not change the verdict."
    )
    n_broke_before: NonNegativeInt = Field(
        0, description="Attempts before the change that count as 0, since they broke."
    )
    n_broke_after: NonNegativeInt = Field(0, description="The same after the change.")
    wins: NonNegativeInt = 0
    losses: NonNegativeInt = 0
    ties: NonNegativeInt = 0
    baseline_mean: float | None = None
    candidate_mean: float | None = None
    difference: float | None = None
    interval_low: float | None = None
    interval_high: float | None = None
    p_value: float | None = None
    alpha: float | None = None
    threshold: float | None = None
    detectable_effect: float | None = Field(None, description="Smallest drop it could have seen.")
    commit_before: str = ""
    commit_after: str = ""
    reason: str = ""
    at: AwareDatetime

    @property
    def while_searching(self) -> bool:
        """Whether it was one of many that a learning run makes, so that what it kept flatters."""
        return self.cycle > 0 or self.rule == "higher"
