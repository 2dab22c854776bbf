"""With skills against without, computed from the episodes of both arms."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

from grindstone.base import Frozen
from grindstone.errors import OF_ITS_OWN_DOING
from grindstone.gate import Pair, PairedComparison, compare_paired
from grindstone.gate.paired import score_beside
from grindstone.ledger.intervals import Interval, wilson
from grindstone.records import Arm, Outcome, Purpose

if TYPE_CHECKING:
    import polars as pl


class ArmSummary(Frozen):
    """One side of a comparison; an attempt that infrastructure spoiled is in no rate."""

    name: str
    attempts: int
    errors: int
    passed: int
    pass_ratio: float | None
    pass_interval: Interval | None
    mean_score: float | None
    """Over scored attempts."""
    cost_usd: float | None
    """Of the attempts with a known price; None: no price is known."""
    unpriced: int
    tokens: int
    mean_duration_s: float | None


class ComparedTask(Frozen):
    """One task on both sides, its trials in their order."""

    task_id: str
    category: str
    with_skills: tuple[Outcome, ...]
    without_skills: tuple[Outcome, ...]
    difference: float | None
    """Mean score with minus mean score without, over trials that have both."""


class Comparison(Frozen):
    """What an agent's skills change, and how sure that is."""

    with_skills: ArmSummary
    without_skills: ArmSummary
    paired: PairedComparison
    """The arm without is the baseline; a task, or a cluster of tasks, counts once, however often
    it was tried."""
    tasks: tuple[ComparedTask, ...]
    trials: int

    @property
    def told_apart(self) -> bool:
        """Whether the exact paired test sees a difference at 5%."""
        return self.paired.p_two_sided < 0.05


def compare_arms(
    episodes: "pl.LazyFrame", clusters: Mapping[str, str] | None = None
) -> Comparison | None:
    """Return the comparison that a run's episodes hold; None where it made none.

    Args:
        episodes: A run's, as `Ledger.scan(Episode, run_key)` gives them.
        clusters: What a task counts with, by its id; a task that is not in it counts by itself.
    """
    import polars as pl

    frame = episodes.filter(
        (pl.col("purpose") == Purpose.COMPARE.value)
        & pl.col("arm").is_in([Arm.WITH.value, Arm.WITHOUT.value])
    )
    rows = frame.sort("task_id", "trial").collect().to_dicts()
    if not rows:
        return None
    sides: dict[tuple[str, int], dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        sides[row["task_id"], row["trial"]][row["arm"]] = row
    pairs = [
        Pair(
            task_id=task_id,
            cluster=(clusters or {}).get(task_id, ""),
            trial=trial,
            baseline=_beside(side.get(Arm.WITHOUT), side.get(Arm.WITH)),
            candidate=_beside(side.get(Arm.WITH), side.get(Arm.WITHOUT)),
        )
        for (task_id, trial), side in sides.items()
    ]
    return Comparison(
        with_skills=_arm(Arm.WITH, rows),
        without_skills=_arm(Arm.WITHOUT, rows),
        paired=compare_paired(pairs),
        tasks=tuple(_tasks(rows, pairs)),
        trials=1 + max(trial for _, trial in sides),
    )


def _beside(row: dict[str, Any] | None, other: dict[str, Any] | None) -> float | None:
    if row is None or other is None:
        return row["score"] if row else None
    broke = row["error_cause"] in OF_ITS_OWN_DOING
    return score_beside(row["score"], other["score"], broke=broke)


def _arm(name: str, rows: Iterable[dict[str, Any]]) -> ArmSummary:
    mine = [row for row in rows if row["arm"] == name]
    scored = [row for row in mine if row["outcome"] != Outcome.ERROR.value]
    passed = sum(row["outcome"] == Outcome.PASSED.value for row in scored)
    costs = [row["cost_usd"] for row in mine if row["cost_usd"] is not None]
    kinds = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return ArmSummary(
        name=name,
        attempts=len(mine),
        errors=len(mine) - len(scored),
        passed=passed,
        pass_ratio=passed / len(scored) if scored else None,
        pass_interval=wilson(passed, len(scored)),
        mean_score=fmean(row["score"] for row in scored) if scored else None,
        cost_usd=sum(costs) if costs else None,
        unpriced=sum(row["cost_usd"] is None and not row["rehearsal"] for row in mine),
        tokens=sum(row[kind] for row in mine for kind in kinds),
        mean_duration_s=fmean(row["duration_s"] for row in scored) if scored else None,
    )


def _tasks(rows: list[dict[str, Any]], pairs: list[Pair]) -> Iterable[ComparedTask]:
    differences: defaultdict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if pair.baseline is not None and pair.candidate is not None:
            differences[pair.task_id].append(pair.candidate - pair.baseline)
    outcomes: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    categories: dict[str, str] = {}
    for row in rows:
        outcomes[row["task_id"], row["arm"]].append(Outcome(row["outcome"]))
        categories[row["task_id"]] = row["category"]
    for task_id, category in sorted(categories.items()):
        seen = differences[task_id]
        yield ComparedTask(
            task_id=task_id,
            category=category,
            with_skills=tuple(outcomes[task_id, Arm.WITH]),
            without_skills=tuple(outcomes[task_id, Arm.WITHOUT]),
            difference=fmean(seen) if seen else None,
        )
