"""What a gate can see, and how often it is wrong: simulated, beside exact figures.

    python benchmarks/gate_power.py [--repetitions 10000] [--seed 1]

Four tables:

1. Discordant pairs an exact one-sided sign test at 5% needs for 80% power: exactly, and the
   simulated power at that number and one below.
2. A/A: both arms the same. How often `improvement` accepts and `no_regression` rejects,
   with the whole plan and with early stopping; neither may exceed 5%.
3. How often early stopping gave another verdict than the whole plan (never), and what share
   of the pairs it saved.
4. Coverage of the 95% interval of the difference.

Ends with status 1 when a claim does not hold.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from grindstone.gate.paired import difference_interval
from grindstone.gate.power import pairs_needed, sign_test_power
from grindstone.gate.rules import least_tasks
from grindstone.gate.signflip import sign_flip_p

ALPHA = 0.05
EXPECTED = {0.6: 158, 0.7: 37, 0.8: 18, 0.9: 8}
CELLS = [(5, 1), (8, 1), (12, 1), (12, 3), (20, 1), (20, 3)]
MIXES = {"all tasks at 50%": (0.5, 0.5), "tasks from 0% to 100%": (0.0, 1.0)}


class Claim(NamedTuple):
    """Something the gate promises."""

    what: str
    holds: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = np.random.default_rng(given.seed)
    started = time.perf_counter()
    claims = [
        *_sign_test(draw, given.repetitions),
        *_same_arms(draw, given.repetitions),
        *_coverage(draw, given.repetitions),
    ]
    print(f"\n{given.repetitions} repetitions a cell, {time.perf_counter() - started:.1f} s")
    for claim in claims:
        if not claim.holds:
            print(f"DOES NOT HOLD: {claim.what}")
    return int(not all(claim.holds for claim in claims))


def _sign_test(draw: np.random.Generator, repetitions: int) -> Iterator[Claim]:
    print("\n1. Discordant pairs for 80% power (exact one-sided sign test, 5%)\n")
    print(f"{'win rate':>9} {'pairs':>6} {'exact':>7} {'simulated':>10} {'one fewer':>10}", end="")
    print(f" {'lasting from':>13} {'two-sided':>10}")
    for rate, expected in EXPECTED.items():
        found, both = pairs_needed(rate, alpha=ALPHA), pairs_needed(rate, two_sided=True)
        simulated, fewer = (
            _simulated_sign_test(draw, pairs, rate, repetitions)
            for pairs in (found.first, found.first - 1)
        )
        exact = float(sign_test_power(found.first, rate)[0])
        print(
            f"{rate:>9.0%} {found.first:>6} {exact:>7.3f} {simulated:>10.3f} {fewer:>10.3f}"
            f" {found.lasting:>13} {both.first:>10}"
        )
        yield Claim(f"{expected} pairs at {rate:.0%}", found.first == expected)
        yield Claim(f"simulation agrees at {rate:.0%}", _near(simulated, exact, repetitions))


def _simulated_sign_test(
    draw: np.random.Generator, pairs: int, rate: float, repetitions: int
) -> float:
    """Share of experiments with a sign-flip p of at most alpha, each number of wins once."""
    wins = draw.binomial(pairs, rate, repetitions)
    kinds, which = np.unique(wins, return_inverse=True)
    steps = np.where(np.arange(pairs) < kinds[:, None], 1, -1)
    return float((sign_flip_p(steps)[1] <= ALPHA)[which].mean())


def _same_arms(draw: np.random.Generator, repetitions: int) -> Iterator[Claim]:
    print("\n2. and 3. A/A: false decisions (at most 5.0%), and what early stopping saves\n")
    print(f"{'plan':>10} {'passing':>22} {'rule':>14} {'whole':>7} {'early':>7}", end="")
    print(f" {'changed':>8} {'saved':>6}")
    for tasks, trials in CELLS:
        for name, (low, high) in MIXES.items():
            rates = draw.uniform(low, high, (repetitions, tasks)) if low < high else low
            steps = draw.binomial(trials, rates, (repetitions, tasks)) - draw.binomial(
                trials, rates, (repetitions, tasks)
            )
            for rule in ("improvement", "no_regression"):
                toward = 1 if rule == "improvement" else -1
                whole = _shown(steps * toward)
                early, used = _stopped_early(steps * toward, trials)
                changed = float((early != whole).mean())
                plan = f"{tasks} x {trials}"
                print(
                    f"{plan:>10} {name:>22} {rule:>14} {whole.mean():>7.2%} {early.mean():>7.2%}"
                    f" {changed:>8.2%} {1 - used.mean() / tasks:>6.0%}"
                )
                where = f"{rule}, {plan}, {name}"
                yield Claim(f"false decisions of {where}", _at_most(whole, ALPHA))
                yield Claim(f"the same, stopped early, of {where}", _at_most(early, ALPHA))
                yield Claim(f"early stopping changes nothing of {where}", changed == 0)


def _shown(steps: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a change in the direction of positive steps is shown at alpha."""
    return sign_flip_p(steps)[1] <= ALPHA


def _stopped_early(
    steps: NDArray[np.int64], trials: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Look after each task; stop once the two extremes of what is left agree."""
    repetitions, tasks = steps.shape
    verdict = np.zeros(repetitions, dtype=bool)
    used = np.full(repetitions, tasks)
    running = np.arange(repetitions)
    for seen in range(least_tasks(ALPHA), tasks + 1):
        extremes = []
        for filler in (-trials, trials):
            filled = steps[running].copy()
            filled[:, seen:] = filler
            extremes.append(_shown(filled))
        decided = extremes[0] == extremes[1]
        verdict[running[decided]] = extremes[0][decided]
        used[running[decided]] = seen
        running = running[~decided]
        if not running.size:
            break
    return verdict, used


def _coverage(draw: np.random.Generator, repetitions: int) -> Iterator[Claim]:
    print("\n4. Coverage of the 95% interval of the difference\n")
    print(f"{'plan':>10} {'before':>7} {'after':>6} {'coverage':>9}")
    repetitions = min(repetitions, 10_000)
    for tasks, trials in CELLS:
        for before, after in ((0.5, 0.5), (0.8, 0.8), (0.7, 0.4), (0.3, 0.8)):
            steps = draw.binomial(trials, after, (repetitions, tasks)) - draw.binomial(
                trials, before, (repetitions, tasks)
            )
            rows, counts = np.unique(np.sort(steps, axis=1), axis=0, return_counts=True)
            inside = 0
            for row, count in zip(rows, counts, strict=True):
                low, high = difference_interval([float(step) / trials for step in row])
                inside += int(count) * (low <= after - before <= high)
            covered = inside / repetitions
            print(f"{f'{tasks} x {trials}':>10} {before:>7.0%} {after:>6.0%} {covered:>9.1%}")
            yield Claim(f"coverage of {tasks} x {trials}, {before} to {after}", covered >= 0.92)


def _near(simulated: float, exact: float, repetitions: int) -> bool:
    return abs(simulated - exact) <= 4 * (exact * (1 - exact) / repetitions) ** 0.5


def _at_most(found: NDArray[np.bool_], level: float) -> bool:
    """Whether a share is at most the level, four standard errors of simulation allowed."""
    return bool(found.mean() <= level + 4 * (level * (1 - level) / len(found)) ** 0.5)


if __name__ == "__main__":
    sys.exit(main())
