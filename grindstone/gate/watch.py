"""A rate that is watched for ever: an alarm that may be asked after every outcome.

A bettor holds against the claim that outcomes are good at least at a rate `floor`. Staking a
share s of what is allowed, its capital is multiplied by 1 + s (floor - x) / (1 - floor) with each
outcome x in [0, 1]: where the claim holds, whatever went before, that factor is at most 1 on
average, and so the chance that the capital ever reaches 1 / alpha is at most alpha (Ville's
inequality). The capital here is the mean of bettors with different stakes, none of which must be
chosen well. The rates whose bettors have not got that far are a confidence sequence: it holds
after all outcomes at once (Waudby-Smith and Ramdas, 2024, "Estimating means of bounded random
variables by betting").

A fixed test asked after each outcome is no substitute: asked often enough it always says yes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeInt

from grindstone.base import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STAKES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the largest stake that cannot lose more than all; small ones see small falls."""

_FINENESS = 0.005


class Watch(Frozen):
    """What a watch has seen; rates and shares in [0, 1]."""

    outcomes: NonNegativeInt
    rate: float | None = Field(description="Mean of all outcomes; None of none.")
    floor: float = Field(description="The rate that is claimed to be held.")
    alpha: float = Field(description="Chance of one false alarm or more, over all looks.")
    at_most: float = Field(description="Upper limit of the rate, good after all looks at once.")
    alarm: bool = Field(description="Whether the floor was ever shown not to be held.")


def watch(outcomes: Sequence[float], *, floor: float, alpha: float) -> Watch:
    """Return what outcomes, in the order they happened, say about a rate.

    Args:
        outcomes: Each in [0, 1]; 1 is good.
        floor: Rate that is claimed, above 0 and below 1.
        alpha: Chance of a false alarm over any number of looks, above 0 and below 1.

    Raises:
        ValueError: A number is out of its range.
    """
    import numpy as np

    if not 0 < floor < 1 or not 0 < alpha < 1:
        raise ValueError(f"floor and alpha must be above 0 and below 1: {floor=}, {alpha=}")
    seen = np.asarray(outcomes, dtype=float)
    if seen.size and not (seen.min() >= 0 and seen.max() <= 1):
        raise ValueError("outcomes must be in [0, 1]")
    return Watch(
        outcomes=seen.size,
        rate=float(seen.mean()) if seen.size else None,
        floor=floor,
        alpha=alpha,
        at_most=_at_most(seen, alpha),
        alarm=bool(_peak(seen[None, :], floor)[0] >= 1 / alpha),
    )


def alarms(outcomes: "NDArray[np.float64]", *, floor: float, alpha: float) -> "NDArray[np.int64]":
    """Return after which outcome the alarm goes off, for many watches at once.

    Args:
        outcomes: Watches x outcomes, each in [0, 1].
        floor: Rate that is claimed.
        alpha: Chance of a false alarm.

    Returns:
        Counts from 1; 0 where it never does.
    """
    import numpy as np

    reached = _capital(outcomes, floor) >= 1 / alpha
    return np.asarray(np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, 0))


def _capital(outcomes: "NDArray[np.float64]", floor: float) -> "NDArray[np.float64]":
    """Return the capital after each outcome: watches x outcomes."""
    import numpy as np

    gain = (floor - outcomes) / (1 - floor)
    # In logarithms, since a long good record brings a bettor to next to nothing.
    each = [np.cumsum(np.log1p(stake * gain), axis=1) for stake in STAKES]
    with np.errstate(over="ignore"):  # more than a float can hold is enough
        return np.asarray(np.mean(np.exp(each), axis=0))


def _peak(outcomes: "NDArray[np.float64]", floor: float) -> "NDArray[np.float64]":
    import numpy as np

    return np.asarray(_capital(outcomes, floor).max(axis=1, initial=1.0))


def _at_most(outcomes: "NDArray[np.float64]", alpha: float) -> float:
    """Return the smallest rate whose claim was shown wrong, by halving: capital grows with it."""
    low, high = 0.0, 1.0
    while outcomes.size and high - low > _FINENESS:
        middle = (low + high) / 2
        if _peak(outcomes[None, :], middle)[0] >= 1 / alpha:
            high = middle
        else:
            low = middle
    return high
