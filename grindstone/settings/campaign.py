"""What a campaign of gates is to be simulated with."""

from typing import Self

from pydantic import Field, model_validator

from grindstone.gate.rules import RuleName
from grindstone.settings.runs import Settings


class SimulateSettings(Settings):
    """Simulate whole campaigns: what their search finds, and what their release may claim."""

    tasks: int = Field(40, ge=2, le=2_000, description="All held-out tasks: searched and sealed.")
    sealed: int = Field(20, ge=0, description="How many of them the release alone may see.")
    trials: int = Field(3, ge=1, le=100, description="Attempts per task, state and gate.")
    changes: int = Field(20, ge=1, le=500, description="Gates of one campaign.")
    effects: str = Field(
        "+6:.25,0:.5,-6:.25",
        description="What changes truly do: points of the pass rate and the share of such.",
    )
    touched: float = Field(
        1.0, gt=0, le=1, description="Share of the tasks a change touches, by more the fewer."
    )
    rule: RuleName = Field("higher", description="Rule by which a change is kept while searching.")
    alpha: float = Field(
        0.05, gt=0, lt=0.5, description="Level of rule and anchor, and of all releases together."
    )
    threshold: float = Field(
        0.0,
        ge=0,
        le=1,
        description="A mean score below it is never kept; rule threshold needs one.",
    )
    anchor: bool = Field(
        True, description="Drop a change that is shown worse than the campaign's start."
    )
    second_looks: int = Field(
        4, ge=0, description="Candidates near the edge that are tried as often again."
    )
    campaigns: int = Field(2_000, ge=1, le=100_000, description="How many are simulated.")
    seed: int = Field(1, ge=0, description="Of all draws; the same seed gives the same figures.")
    usd_per_attempt: float | None = Field(
        None, ge=0, description="What an attempt costs, so that the price is told as well."
    )

    @model_validator(mode="after")
    def _something_to_search(self) -> Self:
        if self.sealed >= self.tasks:
            raise ValueError(
                f"sealed: is {self.sealed}; expected fewer than tasks, which is {self.tasks}"
            )
        return self
