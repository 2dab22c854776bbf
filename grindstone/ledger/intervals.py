"""Intervals of pass rates, in closed form."""

from math import sqrt
from typing import NamedTuple

Z95 = 1.959963984540054
"""Two-sided 95% point of the normal distribution."""


class Interval(NamedTuple):
    """A rate or a difference of rates with its 95% interval."""

    value: float
    low: float
    high: float


def wilson(passed: int, total: int) -> Interval | None:
    """Return a pass rate with Wilson's score interval (E. B. Wilson, 1927); None without data."""
    if total <= 0:
        return None
    rate, square = passed / total, Z95 * Z95
    middle = (rate + square / (2 * total)) / (1 + square / total)
    spread = sqrt(rate * (1 - rate) / total + square / (4 * total * total)) * Z95
    half = spread / (1 + square / total)
    return Interval(rate, max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half)))


def newcombe(passed_a: int, total_a: int, passed_b: int, total_b: int) -> Interval | None:
    """Return the rate of a minus the rate of b with Newcombe's hybrid score interval.

    Method 10 of R. G. Newcombe, Statistics in Medicine 17 (1998), for independent groups;
    None when a group is empty.
    """
    a, b = wilson(passed_a, total_a), wilson(passed_b, total_b)
    if a is None or b is None:
        return None
    difference = a.value - b.value
    below = sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    above = sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Interval(difference, max(-1.0, difference - below), min(1.0, difference + above))
