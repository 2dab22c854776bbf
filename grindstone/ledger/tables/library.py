"""Rows about a library's skills: what each is known to do."""

from typing import ClassVar

from pydantic import AwareDatetime, Field, NonNegativeInt

from grindstone.ledger.row import Row


class WarrantRow(Row):
    """What one skill is known to do for one model, from attempts with and without it."""

    table: ClassVar[str] = "warrants"
    key: ClassVar[tuple[str, ...]] = ("run_key", "agent_id", "skill")

    run_key: str
    agent_id: str
    skill: str
    skill_digest: str = Field(description="Of its whole folder.")
    model: str
    profile: str = ""
    tasks_digest: str = Field(description="Over the digests of the tasks where it is offered.")
    library_digest: str = Field("", description="Over the general skills it was measured among.")
    n_tasks: NonNegativeInt = 0
    trials: NonNegativeInt = 0
    state: str = Field(description="helps, harmless, harms, unknown or never loaded.")
    offered: NonNegativeInt = Field(
        0, description="Scored attempts of this model that this text was offered in."
    )
    offered_tasks: NonNegativeInt = Field(
        0, description="Tasks of these attempts; those of one cluster are one."
    )
    loaded: NonNegativeInt = 0
    followed: NonNegativeInt = 0
    lift: float | None = Field(None, description="Mean score with it minus without it.")
    interval_low: float | None = Field(None, description="95% interval of the lift.")
    interval_high: float | None = None
    p_two_sided: float | None = Field(None, description="Exact sign-flip test by cluster.")
    attempts: NonNegativeInt = Field(0, description="Made to earn it.")
    cost_usd: float | None = Field(None, description="Of these; None: price unknown.")
    at: AwareDatetime
