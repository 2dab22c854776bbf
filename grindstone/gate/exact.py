"""Exact limits of a share that was counted (Clopper and Pearson, 1934)."""

from pydantic import NonNegativeInt

from grindstone.base import Frozen

CONFIDENCE = 0.95


class Rate(Frozen):
    """A share with its exact 95% interval."""

    count: NonNegativeInt
    of: NonNegativeInt
    value: float | None  # None: nothing was counted
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        return (
            f"{self.count} of {self.of} = {self.value:.0%} (95%: {self.low:.0%} to {self.high:.0%})"
        )


def share(count: int, of: int) -> Rate:
    """Return a share with its exact two-sided 95% interval.

    Raises:
        ValueError: The count is not between 0 and `of`.
    """
    if of == 0 == count:
        return Rate(count=0, of=0, value=None)
    from scipy.stats import binomtest

    found = binomtest(count, of).proportion_ci(CONFIDENCE, "exact")
    return Rate(count=count, of=of, value=count / of, low=float(found.low), high=float(found.high))


def at_most(count: int, of: int, confidence: float = CONFIDENCE) -> float:
    """Return the exact one-sided upper limit of the rate behind a count.

    None of 50 still allows a true rate of 5.8%; none of 8 allows 31%.

    Returns:
        A rate in [0, 1]; 1 of nothing, for nothing is known then.

    Raises:
        ValueError: The count is not between 0 and `of`.
    """
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if count == of:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(count + 1, of - count, confidence))
