"""Many comparisons at once: which of them may be called better or worse, and which tell nothing.

Of twenty skills that do nothing, one is "shown to help" at 5%. What is controlled here is the share
of false ones among those that are called (Y. Benjamini and Y. Hochberg, 1995). They were measured
against one library on shared tasks, so their p-values rise and fall together, under which the
procedure holds; a sequential one (LOND, SAFFRON) is for streams without an end, and costs power.
"""

from collections.abc import Sequence
from typing import Literal

from grindstone.gate.paired import PairedComparison

LiftState = Literal["helps", "harmless", "harms", "unknown"]


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return Benjamini-Hochberg's adjusted p-values: compare them with the share allowed."""
    if not p_values:
        return []
    from scipy.stats import false_discovery_control

    return [float(each) for each in false_discovery_control(p_values, method="bh")]


def lift_states(
    found: Sequence[PairedComparison], *, false_share: float, margin: float
) -> list[LiftState]:
    """Return what each of some ablations shows, the candidate's side having the skill.

    Args:
        found: One comparison per skill.
        false_share: Share of false ones allowed among those called to help or to harm.
        margin: A lift below this, up or down, in [0, 1], is none that matters.
    """
    q_values = adjusted([seen.p_two_sided for seen in found])
    return [_state(seen, q <= false_share, margin) for seen, q in zip(found, q_values, strict=True)]


def _state(seen: PairedComparison, told_apart: bool, margin: float) -> LiftState:
    if seen.difference is None or seen.interval_low is None or seen.interval_high is None:
        return "unknown"
    if told_apart and seen.difference:
        return "helps" if seen.difference > 0 else "harms"
    within = -margin < seen.interval_low and seen.interval_high < margin
    return "harmless" if within else "unknown"
