"""Rows that competency and graduation are computed from."""

from typing import ClassVar

from pydantic import AwareDatetime, Field, JsonValue, NonNegativeInt

from grindstone.base import Frozen
from grindstone.ledger.row import Placeholder, Row


class InterventionRow(Row):
    """A human's correction of one field of an agent's work."""

    table: ClassVar[str] = "interventions"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "position")

    episode_id: str
    position: NonNegativeInt = Field(
        description="Tells an episode's corrections apart; made from their content."
    )
    agent_id: str = ""
    at: AwareDatetime
    field: str
    original: str = ""
    correction: str = ""
    reason: str = ""
    corrected_by: str = ""


class RuleViolation(Frozen):
    """A rule that an episode broke."""

    rule: str
    severity: str = ""
    evidence: str = ""
    step: int | None = None


class ComplianceRow(Row):
    """How an episode stands against a constitution's rules."""

    table: ClassVar[str] = "compliance"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "pack_digest")
    weak: ClassVar[Placeholder | None] = Placeholder("waits", "judge")

    episode_id: str
    agent_id: str = ""
    pack: str = Field("", description="The rule pack's name.")
    pack_digest: str = ""
    score: float | None = Field(None, ge=0.0, le=1.0, description="None: could not be checked.")
    n_rules: NonNegativeInt = 0
    violations: tuple[RuleViolation, ...] = ()
    note: str = ""
    waits: str = Field(
        "", description="judge: a judged rule was put to nobody; the row of a judge replaces it."
    )
    at: AwareDatetime | None = Field(None, description="When it was checked.")


class RatingRow(Row):
    """A person's rating of an episode."""

    table: ClassVar[str] = "ratings"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "rated_by", "said")

    episode_id: str
    rated_by: str
    said: str | None = Field(None, description="When, as text: the latest word of a person counts.")
    agent_id: str = ""
    rating: float = Field(ge=0.0, le=1.0)
    comment: str = ""
    at: AwareDatetime


class LiveActionRow(Row):
    """An action of live work: one row written before it runs, one when it has ended."""

    table: ClassVar[str] = "live_actions"
    key: ClassVar[tuple[str, ...]] = ("episode_id", "position", "phase")

    episode_id: str
    position: NonNegativeInt = Field(description="Order within the episode, from 0.")
    phase: str = Field(description="begun or ended; a begun one that never ended was cut off.")
    agent_id: str = ""
    tool: str = ""
    arguments: dict[str, JsonValue] = {}
    level: str = Field("", description="The level it was allowed at.")
    capability: str = ""
    status: str = Field(
        "", description="Of an ended one: done, complained, raised, over time or cut off."
    )
    detail: str = Field("", description="What the agent was told, or what was raised, cut.")
    at: AwareDatetime


class OutcomeRow(Row):
    """What came of a routed task: the tracker's moving averages are folds over these."""

    table: ClassVar[str] = "outcomes"
    key: ClassVar[tuple[str, ...]] = ("outcome_id",)

    outcome_id: str = Field(description="Digest of what was routed, or the episode's id.")
    sequence: NonNegativeInt = Field(0, description="Order within the tracker.")
    agent_id: str = ""
    member_name: str = ""
    domain: str
    episode_id: str = ""
    success: bool
    value: float | None = Field(None, description="A graded outcome, on the base's scale.")
    policy: str = Field("", description="proceed, review or escalate.")
    model_tier: str = ""
    at: AwareDatetime


class RoutingRow(Row):
    """One routing decision with the members it chose from."""

    table: ClassVar[str] = "routing"
    key: ClassVar[tuple[str, ...]] = ("decision_id",)

    decision_id: str
    task: str = ""
    domain: str
    domain_method: str = Field("", description="tag, keyword, classifier or none.")
    domain_confidence: float | None = None
    member_name: str = ""
    competency: float | None = None
    deficit: float | None = None
    policy: str = ""
    model_tier: str = ""
    level: str = Field("", description="The member's level in the task's scope.")
    scope: str = Field("", description="The scope that level holds in; empty: everywhere.")
    candidates: dict[str, JsonValue] = {}
    at: AwareDatetime


class RoutingAnswerRow(Row):
    """A person's answer to a routing decision that was to be reviewed."""

    table: ClassVar[str] = "routing_answers"
    key: ClassVar[tuple[str, ...]] = ("decision_id",)

    decision_id: str
    member_name: str = ""
    approved: bool
    by: str = Field("", description="The person; empty: nobody answered in time.")
    reason: str = ""
    channel: str = Field("", description="ui: under Resume; settings: named beforehand.")
    at: AwareDatetime


class JobRow(Row):
    """A change of a training job's state; the latest sequence is the present one."""

    table: ClassVar[str] = "jobs"
    key: ClassVar[tuple[str, ...]] = ("job_id", "sequence")

    job_id: str
    sequence: NonNegativeInt
    domain: str
    agent_id: str = ""
    kind: str = Field("grind", description="grind or adapt.")
    status: str = Field(
        description="queued, running, done, unproven, failed, cancelled or unhelpful."
    )
    priority: float | None = None
    job_run_key: str = Field("", description="The run the job started.")
    before: float | None = None
    after: float | None = None
    note: str = ""
    at: AwareDatetime


class CompetencyRow(Row):
    """One domain's competency in one scoring cycle."""

    table: ClassVar[str] = "competency"
    key: ClassVar[tuple[str, ...]] = ("run_key", "agent_id", "index", "domain")

    run_key: str
    agent_id: str = ""
    index: NonNegativeInt = Field(description="The scoring cycle, from 0.")
    domain: str
    score: float | None = Field(None, description="a_i, from 0 to base; None: unknown.")
    base: float
    interval_low: float | None = None
    interval_high: float | None = None
    n_episodes: NonNegativeInt = 0
    deficit: float | None = None
    centrality: float | None = None
    priority: float | None = None
    competency_index: float | None = Field(None, description="The whole index of the cycle.")
    balanced_index: float | None = None
    note: str = ""
    at: AwareDatetime
