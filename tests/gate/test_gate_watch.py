"""A watch that may be asked for ever: seldom wrong, soon right."""

import numpy as np
import pytest

from grindstone.gate.exact import share
from grindstone.gate.watch import alarms, watch


def rung(rate: float, *, agents: int = 1_000, episodes: int = 500) -> list[int]:
    draw = np.random.default_rng(7)
    clean = (draw.uniform(size=(agents, episodes)) < rate).astype(float)
    return [int(each) for each in alarms(clean, floor=0.8, alpha=0.05)]


def test_at_the_floor_false_alarms_over_all_looks_are_at_most_the_level() -> None:
    after = rung(0.8)
    assert share(sum(each > 0 for each in after), len(after)).low <= 0.05


def test_an_agent_that_has_become_bad_is_found_soon() -> None:
    after = rung(0.5)
    assert all(after)
    assert np.median(after) < 25


def test_a_fixed_test_that_is_asked_as_often_is_wrong_far_more_often() -> None:
    from scipy.stats import binom

    clean = np.random.default_rng(7).uniform(size=(500, 500)) < 0.8
    counts = np.arange(1, 501)
    p_values = binom.cdf(clean.cumsum(axis=1), counts, 0.8)
    assert (p_values <= 0.05).any(axis=1).mean() > 0.2


def test_an_alarm_stands_once_it_went_off_and_one_watch_says_what_many_say() -> None:
    outcomes = [1.0, *[0.0] * 6, *[1.0] * 200]
    found = watch(outcomes, floor=0.8, alpha=0.05)
    assert found.alarm
    assert alarms(np.array([outcomes]), floor=0.8, alpha=0.05)[0] <= 7
    assert not watch(outcomes[:2], floor=0.8, alpha=0.05).alarm


def test_the_limit_holds_the_true_rate_after_every_outcome() -> None:
    draw = np.random.default_rng(3)
    missed = 0
    for _ in range(100):
        clean = (draw.uniform(size=120) < 0.7).astype(float).tolist()
        limits = [watch(clean[:n], floor=0.8, alpha=0.05).at_most for n in (5, 20, 60, 120)]
        assert limits == sorted(limits, reverse=True)
        missed += limits[-1] < 0.7
    assert missed <= 10
    assert watch([], floor=0.8, alpha=0.05).at_most == 1


@pytest.mark.parametrize(
    ("outcomes", "floor"), [([1.0], 0.0), ([1.0], 1.0), ([2.0], 0.5), ([float("nan")], 0.5)]
)
def test_numbers_out_of_range_are_refused(outcomes: list[float], floor: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        watch(outcomes, floor=floor, alpha=0.05)
