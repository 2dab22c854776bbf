"""Capabilities that graduate on their own: 5, 20 and 50 verified successes.

The level is a fold over the capability's outcomes in the order they happened. Failures
never add; three in a row take a level away and with it the count that had earned it; a
reset by a human starts from nothing, counters included. A capability set back can always
earn its way up again.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pydantic import Field, model_validator

from grindstone.base import Frozen
from grindstone.graduation.levels import ORDER, Level


class CapabilityRule(Frozen):
    """When a capability rises and falls."""

    intern: int = Field(5, ge=1, description="Verified successes for INTERN.")
    supervised: int = Field(20, ge=1, description="Verified successes for SUPERVISED.")
    autonomous: int = Field(50, ge=1, description="Verified successes for AUTONOMOUS.")
    failures_in_a_row: int = Field(3, ge=1, description="As many failures lose a level.")
    min_success_rate: float = Field(
        0.0, ge=0.0, le=1.0, description="Below it, over all outcomes, no level is granted."
    )

    @model_validator(mode="after")
    def _rising(self) -> "CapabilityRule":
        if not self.intern < self.supervised < self.autonomous:
            raise ValueError("intern, supervised and autonomous must rise")
        return self

    @property
    def thresholds(self) -> tuple[int, int, int, int]:
        """Successes each level needs, from STUDENT up."""
        return (0, self.intern, self.supervised, self.autonomous)


class Use(NamedTuple):
    """One verified outcome of a capability; nothing else counts."""

    at: datetime
    episode_id: str
    success: bool


class Standing(NamedTuple):
    """Where a capability stands."""

    level: Level
    successes: int  # that count towards the next level
    uses: int
    failures_in_a_row: int
    to_next: int | None  # successes missing for the next level; None at the top


def standing(
    uses: Iterable[Use], rule: CapabilityRule, *, reset_at: datetime | None = None
) -> Standing:
    """Return a capability's standing from its outcomes, whatever order they arrive in.

    Args:
        uses: Verified outcomes.
        rule: The thresholds.
        reset_at: When a human last reset it; outcomes up to then no longer count.
    """
    ordered = sorted(
        (use for use in uses if reset_at is None or use.at > reset_at),
        key=lambda use: (use.at, use.episode_id),
    )
    successes, failures, passed = 0, 0, 0
    for use in ordered:
        if use.success:
            successes, failures, passed = successes + 1, 0, passed + 1
            continue
        failures += 1
        if failures % rule.failures_in_a_row == 0:
            rank = _rank(successes, rule)
            # One level down, and just enough for it: the rest has to be earned again.
            successes = min(successes, rule.thresholds[max(0, rank - 1)])
    rank = _rank(successes, rule)
    if ordered and passed / len(ordered) < rule.min_success_rate:
        rank = 0
    above = rank + 1
    missing = max(0, rule.thresholds[above] - successes) if above < len(ORDER) else None
    return Standing(ORDER[rank], successes, len(ordered), failures, missing)


def _rank(successes: int, rule: CapabilityRule) -> int:
    return sum(successes >= needed for needed in rule.thresholds) - 1
