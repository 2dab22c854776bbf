"""How far a judge's scores can be trusted, against attempts whose outcome is known."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field, NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.observe.judge import PASSING_SCORE

BINS = 5


class Calibration(Frozen):
    """Agreement of scores 0-10 with outcomes; a score of s is read as probability s/10."""

    n: NonNegativeInt
    n_passed: NonNegativeInt
    agreement: float = Field(description="Share where (score >= 7) equals the outcome.")
    brier: float = Field(description="Mean squared error of score/10; 0 is best.")
    auc: float | None = Field(description="Chance that a pass outscores a failure; ties half.")
    ece: float = Field(description="Expected calibration error over equal-width bins.")


def calibrate(scores: Sequence[int], passed: Sequence[bool], *, bins: int = BINS) -> Calibration:
    """Return how scores agree with outcomes.

    The AUC is the Mann-Whitney statistic; it is None where all outcomes are equal. The ECE
    is the mean of |mean outcome - mean score/10| per bin, weighted by the bin's size.

    Args:
        scores: Judge scores, 0 to 10.
        passed: The outcomes, in the same order.
        bins: Bins of the ECE.

    Raises:
        InputError: Nothing to compare, different lengths, or a score out of range.
    """
    if not scores or len(scores) != len(passed):
        raise InputError(
            "scores", f"{len(scores)} scores and {len(passed)} outcomes", "as many of both, not 0"
        )
    if min(scores) < 0 or max(scores) > 10:
        raise InputError("scores", f"from {min(scores)} to {max(scores)}", "0 to 10")
    chance = np.asarray(scores, dtype=float) / 10
    truth = np.asarray(passed, dtype=bool)
    said = np.asarray(scores) >= PASSING_SCORE
    place = np.minimum((chance * bins).astype(int), bins - 1)
    ece = 0.0
    for index in range(bins):
        inside = place == index
        if inside.any():
            ece += inside.mean() * abs(truth[inside].mean() - chance[inside].mean())
    auc = None
    if truth.any() and not truth.all():
        above = chance[truth][:, None] - chance[~truth][None, :]
        auc = float((above > 0).mean() + 0.5 * (above == 0).mean())
    return Calibration(
        n=len(scores),
        n_passed=int(truth.sum()),
        agreement=float((said == truth).mean()),
        brier=float(((chance - truth) ** 2).mean()),
        auc=auc,
        ece=float(ece),
    )
