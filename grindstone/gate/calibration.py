"""How often a gate is wrong, from gates whose right answer is known."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, NonNegativeInt

from grindstone.base import Frozen
from grindstone.gate.rules import Verdict


class Rate(Frozen):
    """A share with its exact 95% interval (Clopper and Pearson, 1934)."""

    count: NonNegativeInt
    of: NonNegativeInt
    value: float | None = Field(description="None: nothing was counted.")
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        return (
            f"{self.count} of {self.of} = {self.value:.0%} (95%: {self.low:.0%} to {self.high:.0%})"
        )


class GateCalibration(Frozen):
    """What gates said about arms whose difference is known.

    In A/A the arms are the same: each accept of `improvement` and each reject of
    `no_regression` is false. In A/B the candidate is handicapped: the rejects are the power.
    """

    kind: Literal["A/A", "A/B"]
    handicap: float = Field(0.0, description="Share of the candidate's attempts that do nothing.")
    accepts: Rate
    rejects: Rate
    cannot_tell: Rate


def clopper_pearson(count: int, of: int) -> Rate:
    """Return a share with its exact 95% interval.

    Raises:
        ValueError: The count is not between 0 and `of`.
    """
    from scipy.stats import beta

    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if of == 0:
        return Rate(count=0, of=0, value=None)
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(0.975, count + 1, of - count))
    return Rate(count=count, of=of, value=count / of, low=low, high=high)


def at_most(count: int, of: int) -> float:
    """Return the one-sided 95% upper limit of a share (Clopper and Pearson, 1934); 1 of nothing.

    Raises:
        ValueError: The count is not between 0 and `of`.
    """
    from scipy.stats import beta

    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    return 1.0 if count == of else float(beta.ppf(0.95, count + 1, of - count))


def summarise(verdicts: Sequence[Verdict], *, handicap: float | None = None) -> GateCalibration:
    """Return the rates of a series of independent gates.

    Args:
        verdicts: What they said.
        handicap: The candidate's known handicap; None where both arms were the same.
    """
    n = len(verdicts)
    return GateCalibration(
        kind="A/A" if handicap is None else "A/B",
        handicap=handicap or 0.0,
        accepts=clopper_pearson(verdicts.count("accept"), n),
        rejects=clopper_pearson(verdicts.count("reject"), n),
        cannot_tell=clopper_pearson(verdicts.count("cannot_tell"), n),
    )
