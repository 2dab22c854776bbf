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

from grindstone.base import Frozen, PlainNumbers
from grindstone.graduation.rules.levels import ORDER, Level


class CapabilityRule(Frozen, PlainNumbers):
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


class CapabilityTally(NamedTuple):
    """Where the fold over a capability's outcomes has got to."""

    successes: int = 0  # that count
    failures: int = 0  # in a row
    passed: int = 0
    uses: int = 0

    def after(self, use: Use, rule: CapabilityRule) -> "CapabilityTally":
        """Return the tally with one more outcome, the next in order."""
        uses = self.uses + 1
        if use.success:
            return CapabilityTally(self.successes + 1, 0, self.passed + 1, uses)
        failures, successes = self.failures + 1, self.successes
        if failures % rule.failures_in_a_row == 0:
            # One level down, and just enough for it: the rest has to be earned again.
            below = max(0, _rank(successes, rule) - 1)
            successes = min(successes, rule.thresholds[below])
        return CapabilityTally(successes, failures, self.passed, uses)

    def standing(self, rule: CapabilityRule) -> Standing:
        """Return what the outcomes so far come to."""
        rank = _rank(self.successes, rule)
        if self.uses and self.passed / self.uses < rule.min_success_rate:
            rank = 0
        above = rank + 1
        missing = max(0, rule.thresholds[above] - self.successes) if above < len(ORDER) else None
        return Standing(ORDER[rank], self.successes, self.uses, self.failures, missing)


def standing(
    uses: Iterable[Use], rule: CapabilityRule, *, reset_at: datetime | None = None
) -> Standing:
    """Return a capability's standing from its outcomes, whatever order they arrive in.

    Args:
        uses: Verified outcomes.
        rule: The thresholds.
        reset_at: When a human last reset it; outcomes up to then no longer count.
    """
    tally = CapabilityTally()
    for use in sorted(uses, key=lambda use: (use.at, use.episode_id)):
        if reset_at is None or use.at > reset_at:
            tally = tally.after(use, rule)
    return tally.standing(rule)


def _rank(successes: int, rule: CapabilityRule) -> int:
    return sum(successes >= needed for needed in rule.thresholds) - 1
