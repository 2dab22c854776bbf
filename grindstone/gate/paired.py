"""Comparing like with like: the same tasks and trials, before and after a change."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import sqrt
from statistics import fmean

from pydantic import Field, NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.gate.signflip import PValues, sign_flip_test, sign_test

Z95 = 1.959963984540054


class Pair(Frozen):
    """One task and trial before and after; None is an attempt without a score, never a zero."""

    task_id: str
    cluster: str = Field("", description="What the task counts with; empty: itself alone.")
    trial: NonNegativeInt = 0
    baseline: float | None = Field(None, ge=0.0, le=1.0)
    candidate: float | None = Field(None, ge=0.0, le=1.0)

    @property
    def unit(self) -> str:
        """What is one piece of evidence."""
        return self.cluster or self.task_id

    @property
    def complete(self) -> bool:
        """Whether both sides have a score."""
        return self.baseline is not None and self.candidate is not None


def score_beside(score: float | None, other: float | None, *, broke: bool) -> float | None:
    """Return what an attempt counts as beside the other one of its pair.

    A change that breaks the agent would else be judged by the attempts that survived it. It is
    the same for both sides, so a pair is as likely the other way round where nothing changed.

    Args:
        score: Its own; None: it has none.
        other: The other one's.
        broke: Whether it may have brought that about itself (`errors.OF_ITS_OWN_DOING`).
    """
    return 0.0 if broke and other is not None else score


class PairedComparison(Frozen):
    """What paired attempts say; wins, losses and ties count clusters, the candidate's way.

    Where no task names a cluster, each is one of its own.
    """

    n_pairs: NonNegativeInt = Field(description="Pairs with a score on both sides.")
    n_missing: NonNegativeInt = Field(description="Pairs without.")
    n_tasks: NonNegativeInt = Field(description="Tasks with at least one complete pair.")
    n_clusters: NonNegativeInt = Field(description="Clusters with at least one; the tests' unit.")
    wins: NonNegativeInt
    losses: NonNegativeInt
    ties: NonNegativeInt
    baseline_mean: float | None = Field(
        description="Mean over clusters of the mean over tasks of the mean over trials."
    )
    candidate_mean: float | None
    difference: float | None = Field(description="Candidate minus baseline.")
    interval_low: float | None = Field(description="95% interval of the difference.")
    interval_high: float | None
    p_worse: float = Field(description="Exact sign-flip test by cluster, one-sided.")
    p_better: float
    p_two_sided: float
    sign_p_worse: float = Field(description="Exact sign test on clusters that differ, one-sided.")
    sign_p_better: float
    sign_p_two_sided: float


def compare_paired(pairs: Iterable[Pair]) -> PairedComparison:
    """Compare a candidate with its baseline.

    Trials of a task are averaged first, then tasks of a cluster, so a cluster counts once
    however many tasks it has and however often they were tried.
    The tests are `sign_flip_test` and `sign_test` over these differences; p-values are 1
    where nothing was seen.

    Raises:
        InputError: A task and trial appear twice.
    """
    seen: set[tuple[str, int]] = set()
    by_task: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    missing = 0
    for pair in pairs:
        if (pair.task_id, pair.trial) in seen:
            where = f"pair {pair.task_id}, trial {pair.trial}"
            raise InputError(where, "appears twice", "each task and trial once")
        seen.add((pair.task_id, pair.trial))
        if pair.baseline is None or pair.candidate is None:
            missing += 1
        else:
            by_task[pair.unit, pair.task_id].append((pair.baseline, pair.candidate))
    before = _by_cluster({at: fmean(b for b, _ in each) for at, each in by_task.items()})
    after = _by_cluster({at: fmean(c for _, c in each) for at, each in by_task.items()})
    differences = _by_cluster({at: fmean(c - b for b, c in each) for at, each in by_task.items()})
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    flips, signs = sign_flip_test(differences), sign_test(wins, losses)
    low, high = difference_interval(differences) if differences else (None, None)
    return PairedComparison(
        n_pairs=len(seen) - missing,
        n_missing=missing,
        n_tasks=len(by_task),
        n_clusters=len(differences),
        wins=wins,
        losses=losses,
        ties=len(differences) - wins - losses,
        baseline_mean=fmean(before) if before else None,
        candidate_mean=fmean(after) if after else None,
        difference=fmean(differences) if differences else None,
        interval_low=low,
        interval_high=high,
        **_named("p", flips),
        **_named("sign_p", signs),
    )


def _by_cluster(means: Mapping[tuple[str, str], float]) -> list[float]:
    """Return the mean over a cluster's tasks, for each cluster."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for (cluster, _), mean in means.items():
        found[cluster].append(mean)
    return [fmean(each) for each in found.values()]


def difference_interval(differences: list[float]) -> tuple[float, float]:
    """Return a 95% interval of the mean difference over clusters, within [-1, 1].

    Wald's interval after adding half a task won, half a task lost and one tie: A. Agresti
    and Y. Min, Statistics in Medicine 24 (2005), here with a task's mean over its trials in
    place of a single pair. Never of width zero; benchmarks/gate_power.py shows its coverage.
    """
    n, total = len(differences) + 2, sum(differences)
    middle = total / n
    spread = (sum(d * d for d in differences) + 1) / n - middle**2
    half = Z95 * sqrt(spread / n)
    mean = total / len(differences)
    return max(-1.0, min(mean, middle - half)), min(1.0, max(mean, middle + half))


def _named(prefix: str, found: PValues) -> dict[str, float]:
    return {
        f"{prefix}_worse": found.worse,
        f"{prefix}_better": found.better,
        f"{prefix}_two_sided": found.two_sided,
    }
