"""What is compared: gates and the search by them, agents, skills under a warrant, releases."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from grindstone.gate.rules import RuleName
from grindstone.settings.runs import Ratio, RunSettings, Settings

RULES = (
    "higher: accepted when the mean is above the present best's, to search by and no claim; "
    "no_regression: rejected when shown to be worse; improvement: accepted only when shown to "
    "be better; threshold: accepted when the mean reaches gate_threshold."
)


class GateOptions(Settings):
    """How a change is weighed on tasks it was not learned from."""

    gate_rule: RuleName = Field("no_regression", description=RULES)
    gate_alpha: float = Field(
        0.05, gt=0, lt=0.5, description="Level of the exact paired test: its share of errors."
    )
    gate_threshold: Ratio = Field(
        0.0,
        description="Under every rule, a mean score below this is rejected; the rule threshold "
        "needs one above 0.",
    )
    gate_trials: int = Field(1, ge=1, le=100, description="Attempts per holdout task and arm.")
    gate_on_cannot_tell: Literal["accept", "reject", "accept_unless_lower"] = Field(
        "accept_unless_lower",
        description="What follows when so few tasks cannot be evidence of anything.",
    )
    gate_early_stop: bool = Field(
        True, description="Stop once no remaining attempt could change the verdict."
    )
    split_seed: int = Field(42, description="Chooses the holdout tasks, by category.")

    @model_validator(mode="after")
    def _threshold_is_given(self) -> Self:
        if self.gate_rule == "threshold" and self.gate_threshold == 0:
            raise ValueError("gate_rule threshold needs a gate_threshold above 0: at 0 all pass")
        return self


class SearchOptions(GateOptions):
    """How changes are weighed one after another, and what is kept from all of them."""

    gate_rule: RuleName = Field("higher", description=RULES)
    gate_anchor: bool = Field(
        True, description="Undo a change shown to be worse than the state the run began with."
    )
    gate_second_looks: int = Field(
        4,
        ge=0,
        le=1000,
        description="Under the rule higher, candidates of a run that are tried as often again "
        "where the first trials left it open which state is better.",
    )
    sealed_ratio: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the tasks that no run attempts before a release does. 0: none new.",
    )

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        held = getattr(self, "holdout_ratio", 0.0)
        if held + self.sealed_ratio >= 1:
            raise ValueError(
                f"holdout_ratio: is {held}, sealed_ratio {self.sealed_ratio}; expected less than 1 "
                "together, so that there is something to learn from"
            )
        return self


class GateSettings(RunSettings, GateOptions):
    """Weigh one state of a workspace against another on the same tasks."""

    @property
    def changes_agent(self) -> bool:
        """See `RunSettings`."""
        return self.roll_back

    baseline: str | None = Field(
        None, description="Tag or commit before the change. Empty: before the last evolution."
    )
    candidate: str = Field("HEAD", description="Tag or commit after the change.")
    holdout_ratio: float | None = Field(
        None, gt=0, lt=1, description="Share of the tasks that is held out. Empty: all of them."
    )
    roll_back: bool = Field(
        True, description="When the candidate is the present state and is rejected, restore."
    )


class CalibrateSettings(GateSettings):
    """Gates whose right answer is known: the same state twice, and a handicapped one."""

    @property
    def changes_agent(self) -> bool:
        """See `RunSettings`."""
        return False

    repeats: int = Field(10, ge=1, description="Gates of each kind; each makes attempts anew.")
    handicap: float = Field(
        0.5, gt=0, le=1, description="Share of the candidate's attempts that do nothing, in A/B."
    )


class CompareSettings(RunSettings):
    """The same tasks and trials with an agent's skills and without any."""

    trials: int = Field(1, ge=1, description="Attempts per task in each arm.")


class WarrantSettings(RunSettings):
    """Earn each skill's warrant anew where it lapsed; retire what the policy does not keep."""

    @property
    def changes_agent(self) -> bool:
        """See `RunSettings`."""
        return self.retire != "nothing"

    trials: int = Field(1, ge=1, le=100, description="Attempts per task, with and without a skill.")
    max_attempts: int = Field(
        200, ge=0, description="An audit makes no more; the cheapest doubts come first."
    )
    false_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of false ones allowed among the skills called to help or to harm.",
    )
    margin: float = Field(
        0.2, gt=0, lt=1, description="A lift surely below this is none: the skill is harmless."
    )
    never_loaded_after: int = Field(
        30,
        ge=1,
        description="Tasks that offered a skill in scored attempts before it may be called never "
        "loaded; those of one cluster are one. Never in 30: it is read in less than one of ten.",
    )
    retire: Literal["nothing", "harmful", "useless"] = Field(
        "useless",
        description="What leaves the library, by a commit: harmful: skills that harm; useless: "
        "those and skills that are harmless or never loaded.",
    )


class ReleaseSettings(RunSettings):
    """The present agent against its last release on sealed tasks: the one place of a claim."""

    trials: int = Field(3, ge=1, le=100, description="Attempts per sealed task and state.")
    alpha: float = Field(
        0.05,
        gt=0,
        lt=0.5,
        description="Chance of one false gain or more over all releases on the same tasks.",
    )
    baseline: str | None = Field(
        None, description="Tag or commit to compare with. Empty: the last release, or the seed."
    )
    candidate: str = Field("HEAD", description="Tag or commit that is to be released.")
    signing_key: Path | None = Field(
        None, description="Private ed25519 key in PEM that signs the certificate."
    )
