"""Exact tests of "nothing changed" on paired differences, one difference per task.

If a change does nothing, the two arms of a task could as well have been swapped: each
difference is as likely to be negative as positive, whatever its size. The test's
distribution is that of the sum over all 2^n choices of signs, computed exactly. With one
trial per task and scores of 0 and 1 it is the sign test.

Tasks are the unit because trials of one task share its difficulty: counting each trial as
evidence of its own would claim more than was seen.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNITS = (2520, 840, 420, 120, 60, 12)
"""Grids the differences are rounded to; 2520 holds all means of up to ten binary trials.

Rounding is symmetric about zero, so the test stays exact: it is the test of the rounded sum.
"""
_MOST_CELLS = 250_000


class PValues(NamedTuple):
    """Chances, if nothing changed, of a result at least as extreme as the one seen."""

    worse: float
    better: float

    @property
    def two_sided(self) -> float:
        """Twice the smaller one, at most 1."""
        return min(1.0, 2 * min(self.worse, self.better))


def sign_test(wins: int, losses: int) -> PValues:
    """Return the exact sign test's p-values; ties take no part.

    Raises:
        ValueError: A count is negative.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"counts must not be negative: {wins=}, {losses=}")
    n = wins + losses
    if not n:
        return PValues(worse=1.0, better=1.0)
    from scipy.stats import binomtest

    def tail(least: int) -> float:
        return float(binomtest(least, n, alternative="greater").pvalue)

    return PValues(worse=tail(losses), better=tail(wins))


def grid_of(n_differences: int) -> int:
    """Return into how many parts of 1 so many differences are rounded."""
    return next((unit for unit in UNITS if unit * n_differences <= _MOST_CELLS), UNITS[-1])


def sign_flip_test(differences: Sequence[float]) -> PValues:
    """Return the exact sign-flip test's p-values for one difference per task, in [-1, 1]."""
    import numpy as np

    unit = grid_of(len(differences))
    steps = np.rint(np.asarray(differences, dtype=float) * unit).astype(np.int64)
    worse, better = sign_flip_p(steps[None, :])
    return PValues(worse=float(worse[0]), better=float(better[0]))


def sign_flip_p(
    steps: "NDArray[np.int64]",
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Return p-values for "worse" and "better", for many experiments at once.

    With L the sum of the sizes of all losses and B_i fair coins, the flipped sum is at most
    the observed one exactly when the sum of B_i |d_i| is at least L; likewise for gains.

    Args:
        steps: Whole-numbered differences, one row per experiment, one column per task.
    """
    import numpy as np

    sizes = np.abs(steps)
    unit = int(np.gcd.reduce(sizes, axis=None)) if sizes.size else 0
    if unit > 1:
        steps, sizes = steps // unit, sizes // unit
    width = int(sizes.sum(axis=1).max(initial=0)) + 1
    chance = np.zeros((len(steps), width))
    chance[:, 0] = 1.0
    for column in range(sizes.shape[1]):
        shifted = np.zeros_like(chance)
        for size in np.unique(sizes[:, column]):
            rows = sizes[:, column] == size
            shifted[rows, size:] = chance[rows, : width - size]
        chance = (chance + shifted) / 2
    at_least = np.minimum(np.cumsum(chance[:, ::-1], axis=1)[:, ::-1], 1.0)
    lost = np.where(steps < 0, sizes, 0).sum(axis=1)
    won = np.where(steps > 0, sizes, 0).sum(axis=1)
    rows = np.arange(len(steps))
    return at_least[rows, lost], at_least[rows, won]
