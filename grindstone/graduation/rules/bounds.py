"""What a small record can say about the true rate behind it."""

CONFIDENCE = 0.95


def upper_bound(events: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the exact one-sided upper bound of a binomial rate (Clopper and Pearson, 1934).

    None of 50 episodes corrected still allows a true rate of 5.8%; none of 8 allows 31%.

    Args:
        events: Episodes with an intervention.
        trials: All episodes.
        confidence: How sure the bound is to hold.

    Returns:
        A rate in [0, 1]; 1 when there is no episode, for nothing is known then.
    """
    if trials <= 0 or events >= trials:
        return 1.0
    if events == 0:
        return float(1.0 - (1.0 - confidence) ** (1.0 / trials))
    from scipy.special import betaincinv

    return float(betaincinv(events + 1, trials - events, confidence))
