"""Rows about claims: which tasks were kept sealed, who looked at them, and what was said."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field, NonNegativeInt, PositiveInt

from grindstone.ledger.row import Row


class TaskPartRow(Row):
    """What a run was to do with a task: learn or choose by it, look on, or leave it sealed."""

    table: ClassVar[str] = "task_parts"
    key: ClassVar[tuple[str, ...]] = ("run_key", "task_id")

    run_key: str
    task_id: str
    task_digest: str
    fingerprint: str = Field("", description="SHA-256 of the words of its instruction.")
    twins: tuple[str, ...] = Field((), description="Digests that the same task in other words has.")
    cluster: str = ""
    part: Literal["learned", "seen", "sealed", "quarantined"] = Field(
        description="learned: to learn from, or to choose changes by; seen: neither; sealed: "
        "for a release alone; quarantined: left alone, since the task itself is at fault."
    )


class ExposureRow(Row):
    """A look at sealed tasks, booked before its first attempt."""

    table: ClassVar[str] = "exposures"
    key: ClassVar[tuple[str, ...]] = ("run_key", "query_id")

    run_key: str
    query_id: str = Field(description="Digest of tasks, both trees, model, profile and trials.")
    agent_id: str = ""
    marks: tuple[str, ...] = Field(description="What the tasks and copies of them are known by.")
    n_clusters: NonNegativeInt
    nth: PositiveInt = Field(description="Looks at these tasks so far, this one included.")
    alpha: float = Field(description="Error rate of all looks together.")
    level: float = Field(description="What this one took of it.")
    at: AwareDatetime


class ReleaseRow(Row):
    """What a release says about a change, from sealed tasks alone."""

    table: ClassVar[str] = "releases"
    key: ClassVar[tuple[str, ...]] = ("run_key", "query_id")

    run_key: str
    query_id: str
    agent_id: str = ""
    claimed: bool = Field(description="Whether a gain is announced.")
    alpha: float
    level: float = Field(description="Of the test; the exposure's.")
    nth: PositiveInt
    p_better: float
    difference: float | None = Field(None, description="Candidate minus baseline, over clusters.")
    interval_low: float | None = Field(None, description="95% interval of the difference.")
    interval_high: float | None = None
    baseline_mean: float | None = None
    candidate_mean: float | None = None
    n_pairs: NonNegativeInt = 0
    n_missing: NonNegativeInt = 0
    n_tasks: NonNegativeInt = 0
    n_clusters: NonNegativeInt = 0
    wins: NonNegativeInt = Field(0, description="Clusters.")
    losses: NonNegativeInt = 0
    ties: NonNegativeInt = 0
    trials: PositiveInt = 1
    gates: NonNegativeInt = Field(
        0, description="Gates the agent's changes went through on other tasks since its baseline."
    )
    model: str = ""
    profile: str = ""
    commit_before: str = ""
    tree_before: str = ""
    commit_after: str = ""
    tree_after: str = ""
    at: AwareDatetime
