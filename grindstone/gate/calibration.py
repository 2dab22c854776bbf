"""How often a gate is wrong, from gates whose right answer is known."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from grindstone.base import Frozen
from grindstone.gate.exact import Rate, share
from grindstone.gate.rules import Verdict


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
        accepts=share(verdicts.count("accept"), n),
        rejects=share(verdicts.count("reject"), n),
        cannot_tell=share(verdicts.count("cannot_tell"), n),
    )
