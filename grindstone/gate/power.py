"""What a gate could see, said before it runs."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from grindstone.gate.rules import least_tasks
from grindstone.gate.signflip import sign_flip_p

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POWER = 0.8
REPETITIONS = 2_000
STEP = 5
"""Effects are told in steps of so many points: the model is no finer than that."""

_HORIZON = 4


class PairsNeeded(NamedTuple):
    """How many discordant pairs a sign test needs; its power is saw-toothed in their number."""

    first: int  # the first number with the power
    lasting: int  # from here on it never falls below again


def sign_test_power(
    pairs: "int | NDArray[np.int64]",
    win_rate: float,
    *,
    alpha: float = 0.05,
    two_sided: bool = False,
) -> "NDArray[np.float64]":
    """Return the exact chance that a sign test says "better" (or, two-sided, "different").

    Args:
        pairs: Discordant pairs, one number or several.
        win_rate: True chance that such a pair is won.
        alpha: Level of the test.
        two_sided: Split the level over both tails.
    """
    import numpy as np
    from scipy.stats import binom

    n = np.atleast_1d(np.asarray(pairs))
    above = binom.isf(alpha / 2 if two_sided else alpha, n, 0.5)  # more wins than this convince
    power = binom.sf(above, n, win_rate)
    if two_sided:
        power = power + binom.cdf(n - above - 1, n, win_rate)
    return np.asarray(power, dtype=float)


def pairs_needed(
    win_rate: float, *, alpha: float = 0.05, power: float = POWER, two_sided: bool = False
) -> PairsNeeded:
    """Return how many discordant pairs give a sign test its power.

    Raises:
        ValueError: The win rate is not above 1/2 and at most 1.
    """
    import numpy as np

    if not 0.5 < win_rate <= 1:
        raise ValueError(f"win_rate must be above 0.5 and at most 1, is {win_rate}")
    most = 64
    while True:
        numbers = np.arange(1, most + 1)
        enough = sign_test_power(numbers, win_rate, alpha=alpha, two_sided=two_sided) >= power
        first = int(np.argmax(enough)) + 1
        if enough.any() and first * _HORIZON <= most:
            below = numbers[~enough]
            return PairsNeeded(first, int(below.max(initial=0)) + 1)
        most *= 2


def detectable_effect(
    n_tasks: int, trials: int, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """Return the smallest change of the pass rate a gate finds with some power.

    The model: independent trials of chance 1/2 + e/2 in one arm and 1/2 - e/2 in the other,
    the noisiest case of an effect e, with the exact sign-flip test by task at `alpha`.
    Computed by a seeded simulation.

    Returns:
        A share of 1 in steps of five points; None when not even all tasks changing is enough.
    """
    if n_tasks < least_tasks(alpha):
        return None
    low, high = 0, 100 // STEP  # in steps; at 100 points every pair is decided the same way
    while high - low > 1:
        middle = (low + high) // 2
        if simulated_power(n_tasks, trials, middle * STEP / 100, alpha=alpha) >= power:
            high = middle
        else:
            low = middle
    return high * STEP / 100


def simulated_power(n_tasks: int, trials: int, effect: float, *, alpha: float = 0.05) -> float:
    """Return the share of simulated gates that find an effect; see `detectable_effect`."""
    steps = simulate_steps(n_tasks, trials, (1 + effect) / 2, (1 - effect) / 2, seed=0)
    return float((sign_flip_p(steps)[0] <= alpha).mean())


def simulate_steps(
    n_tasks: int,
    trials: int,
    baseline: float,
    candidate: float,
    *,
    seed: int,
    repetitions: int = REPETITIONS,
) -> "NDArray[np.int64]":
    """Return passed trials of the candidate minus the baseline's: repetitions x tasks."""
    import numpy as np

    draw = np.random.default_rng(seed)
    shape = (repetitions, n_tasks)
    return draw.binomial(trials, candidate, shape) - draw.binomial(trials, baseline, shape)


def sentence(
    n_tasks: int,
    trials: int,
    *,
    alpha: float,
    direction: Literal["drop", "rise", "gain", "search", "none"],
    n_clusters: int | None = None,
) -> str:
    """Return what is said before a gate runs: how small a change it can see.

    Args:
        n_tasks: Tasks that are attempted.
        trials: Attempts at each, per arm.
        alpha: Level of the test.
        direction: The change it looks for; a gain is a release's alone.
        n_clusters: Units of the test, where tasks share them.
    """
    units = n_tasks if n_clusters is None else n_clusters
    apart = "" if units == n_tasks else f" in {units} cluster{'s' * (units != 1)}"
    size = f"{n_tasks} task{'s' * (n_tasks != 1)}{apart} × {trials} trial{'s' * (trials != 1)}"  # noqa: RUF001
    if direction == "search":
        return (
            f"With {size} this gate keeps what scored higher while searching: it tests nothing, "
            "and what it sees is no claim."
        )
    if direction == "none":
        return f"With {size} this gate looks at the candidate's mean alone; it compares nothing."
    effect = detectable_effect(units, trials, alpha=alpha)
    if effect is None:
        return (
            f"With {size} this gate can see no {direction} at all at a level of {alpha:.0%}: "
            f"that takes {least_tasks(alpha)} {'tasks' if not apart else 'clusters'}."
        )
    return (
        f"With {size} this gate can see a {direction} of {effect * 100:.0f} points or more "
        f"(four times in five, at a level of {alpha:.0%}, outcomes as noisy as can be)."
    )
