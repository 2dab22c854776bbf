"""How far a run has come: its batches in the ledger, so that a resumed run goes on after them."""

from collections.abc import Sequence

from grindstone.benchmark import Task
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import BatchRow, CycleNote
from grindstone.records import utc_now
from grindstone.workspace import Snapshot


def finished_batches(ledger: Ledger, run_key: str) -> list[BatchRow]:
    """Return the batches that were worked through, the first one first."""
    return sorted(ledger.rows(BatchRow, run_key), key=lambda row: row.batch)


def finish_batch(
    ledger: Ledger,
    run_key: str,
    number: int,
    task_ids: Sequence[str],
    *,
    unscored: Sequence[str],
    cycles: Sequence[CycleNote],
    after: Snapshot,
) -> None:
    """Note that a batch was worked through."""
    row = BatchRow(
        run_key=run_key,
        batch=number,
        task_ids=tuple(task_ids),
        unscored=tuple(unscored),
        cycles=tuple(cycles),
        commit_after=after.commit,
        tree_after=after.tree,
        skills_digest_after=after.skills_digest,
        at=utc_now(),
    )
    ledger.append([row], run_key=run_key)


def snapshot_after(batches: Sequence[BatchRow]) -> Snapshot | None:
    """Return the workspace as the last of some batches left it; None where there is none."""
    if not batches:
        return None
    last = batches[-1]
    return Snapshot(
        commit=last.commit_after, tree=last.tree_after, skills_digest=last.skills_digest_after
    )


def without_score(batches: Sequence[BatchRow]) -> tuple[str, ...]:
    """Return the tasks whose last batch brought them no score, the longest waiting first."""
    left: dict[str, None] = {}
    for row in batches:
        for task_id in row.task_ids:
            left.pop(task_id, None)
            if task_id in row.unscored:
                left[task_id] = None
    return tuple(left)


def task_of(tasks: Sequence[Task], task_id: str) -> Task:
    """Return the task of that id among some."""
    return next(task for task in tasks if task.task_id == task_id)
