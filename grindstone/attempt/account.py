"""The account of looks at sealed tasks: one per home, in the ledger, booked before an attempt."""

from collections.abc import Sequence
from typing import NamedTuple

from grindstone.attempt.arms import Arms
from grindstone.attempt.sealing import account_held, marks_of
from grindstone.benchmark import Task
from grindstone.benchmark.dataset import clusters_of
from grindstone.errors import RefusedError
from grindstone.gate.exposure import Look, Offer, offer, query_id
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow, ReleaseRow
from grindstone.records import utc_now


class Question(NamedTuple):
    """What a release asks of sealed tasks."""

    tasks: tuple[Task, ...]
    arms: Arms
    model: str
    profile: str
    trials: int

    @property
    def query_id(self) -> str:
        """What it is known by, whatever agent, run or folder asks it."""
        return query_id(
            task_digests=[task.digest for task in self.tasks],
            baseline_tree=self.arms.baseline.tree,
            candidate_tree=self.arms.candidate.tree,
            model=self.model,
            profile=self.profile,
            trials=self.trials,
        )

    @property
    def clusters(self) -> dict[str, str]:
        """Return the cluster each task counts with, copies counting with their originals."""
        return clusters_of(self.tasks)


def answered(ledger: Ledger, query: str) -> ReleaseRow | None:
    """Return what was said to a question before."""
    return next((row for row in ledger.rows(ReleaseRow) if row.query_id == query), None)


def booked(ledger: Ledger, query: str) -> ExposureRow | None:
    """Return what a question was booked as; the run that asked it first is where it goes on."""
    return next((row for row in ledger.rows(ExposureRow) if row.query_id == query), None)


def offered(ledger: Ledger, question: Question, *, alpha: float) -> Offer:
    """Return what a new question may have."""
    looks = [Look(frozenset(row.marks), row.level) for row in ledger.rows(ExposureRow)]
    marks = frozenset(mark for task in question.tasks for mark in marks_of(task))
    n_clusters = len(set(question.clusters.values()))
    return offer(looks, marks, alpha=alpha, n_clusters=n_clusters)


def book(
    home: Home, question: Question, *, alpha: float, agent_id: str, run_key: str
) -> ExposureRow:
    """Book a question, once; one that was booked before keeps its level and its run.

    Args:
        home: Whose account.
        question: What is asked.
        alpha: Error rate of all looks together.
        agent_id: Who is to be released.
        run_key: The run that asks it, if none has before.

    Raises:
        RefusedError: So little is left that no result could convince.
    """
    ledger = Ledger(home)
    with account_held(home):
        row = booked(ledger, question.query_id)
        if row is not None:
            return row
        found = offered(ledger, question, alpha=alpha)
        if not found.convincing:
            raise RefusedError(f"release refused: {found.refusal}")
        row = ExposureRow(
            run_key=run_key,
            query_id=question.query_id,
            agent_id=agent_id,
            marks=tuple(sorted({mark for task in question.tasks for mark in marks_of(task)})),
            n_clusters=found.n_clusters,
            nth=found.nth,
            alpha=alpha,
            level=found.level,
            at=utc_now(),
        )
        ledger.append([row], run_key=run_key)
        return row


def last_release(ledger: Ledger, agent_id: str) -> ReleaseRow | None:
    """Return an agent's latest release that announced a gain: what it is known for."""
    rows: Sequence[ReleaseRow] = [
        row for row in ledger.rows(ReleaseRow) if row.agent_id == agent_id and row.claimed
    ]
    return max(rows, key=lambda row: row.at, default=None)
