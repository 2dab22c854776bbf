"""What a look at sealed tasks costs: a declining series of levels whose sum is alpha.

A release that looks at tasks for the k-th time gets the k-th share, alpha / (k (k + 1)), so the
chance of one false gain or more over any number of releases on them is at most alpha (the
union bound). Tasks are known by their marks, digests of their files, their text and what decides
them, so that another name, wording or folder makes no new ones; looks that share a mark share an
account, and so do those that are joined by a third.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import Field, NonNegativeInt, PositiveInt

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.gate.rules import least_tasks


class Look(NamedTuple):
    """One look at sealed tasks that was paid for."""

    marks: frozenset[str]
    level: float


class Offer(Frozen):
    """What another look may have."""

    nth: PositiveInt = Field(description="Looks at these tasks, this one included.")
    alpha: float
    spent: float = Field(description="Level that earlier looks at them took.")
    level: float = Field(description="Of this look; 0 when all is spent.")
    n_clusters: NonNegativeInt

    @property
    def convincing(self) -> bool:
        """Whether any result could convince at its level: all clusters better, and no chance."""
        return self.level > 0 and self.n_clusters >= least_tasks(self.level)

    @property
    def refusal(self) -> str:
        """Why there is no use in looking, and what would help."""
        needed = least_tasks(self.alpha / 2)
        left = "nothing" if self.level <= 0 else f"a level of {self.level:.2%}"
        of_these = f"{_counted(self.n_clusters, 'cluster')} of sealed tasks"
        if self.nth == 1:
            return (
                f"no result of {of_these} could convince at a level of {self.level:.2%}: that "
                f"takes {needed}"
            )
        return (
            f"these {of_these} were looked at {_counted(self.nth - 1, 'time')} before, which "
            f"leaves {left} of {self.alpha:.0%}: no result of so few could convince; {needed} new "
            "clusters, released without these, refill it"
        )


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"


def offer(looks: Sequence[Look], marks: Iterable[str], *, alpha: float, n_clusters: int) -> Offer:
    """Return what a look at tasks may have after earlier looks.

    Args:
        looks: All that were paid for.
        marks: Of the tasks that are to be looked at.
        alpha: Error rate of all looks together.
        n_clusters: Pieces of evidence among the tasks.
    """
    joined = connected(looks, frozenset(marks))
    spent = sum(look.level for look in joined)
    nth = len(joined) + 1
    level = max(0.0, alpha - spent) / (nth + 1)
    return Offer(nth=nth, alpha=alpha, spent=spent, level=level, n_clusters=n_clusters)


def connected(looks: Sequence[Look], marks: frozenset[str]) -> list[Look]:
    """Return the looks that share a mark with some tasks, or with a look that does."""
    found: list[Look] = []
    rest, reach = list(looks), set(marks)
    while near := [look for look in rest if look.marks & reach]:
        rest = [look for look in rest if not look.marks & reach]
        found += near
        for look in near:
            reach |= look.marks
    return found


def query_id(
    *,
    task_digests: Iterable[str],
    baseline_tree: str,
    candidate_tree: str,
    model: str,
    profile: str,
    trials: int,
) -> str:
    """Return what a question is known by; the same question has the same answer, and no price."""
    return digest(
        {
            "tasks": [*sorted(set(task_digests))],
            "baseline": baseline_tree,
            "candidate": candidate_tree,
            "model": model,
            "profile": profile,
            "trials": trials,
        }
    )
