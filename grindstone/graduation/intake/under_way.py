"""Live tasks that have not ended: what is known of each while its process lives, and after.

    <home>/live/<episode>.json    the task as it began
    <home>/live/<episode>.lock    held by its process, and let go of when that is killed

Whoever finds a task whose lock is free knows that its process is gone: what it had begun is closed
as cut off, and it becomes an episode like any other that did not come to its end.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.files import write_atomic
from grindstone.graduation.intake.live_work import named_capability
from grindstone.graduation.intake.recording import RecordedAction, Work
from grindstone.graduation.registry import Registry
from grindstone.home import Home
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.records import Episode

GONE = "its process ended before it did: whether it was done is not known"


class TaskUnderWay(Frozen):
    """A live task as it began."""

    work: Work
    run_key: str


class CutOffAction(Frozen):
    """A live action that was begun and, as far as anybody knows, never ended."""

    row: LiveActionRow
    at_work: bool  # its process lives, and may still end it

    def __str__(self) -> str:
        where = f"{self.row.tool} of {self.row.agent_id}, episode {self.row.episode_id}"
        state = "is at work" if self.at_work else "was begun and never closed"
        return f"live action {where}: {state} (begun {self.row.at:%Y-%m-%d %H:%M:%S} UTC)"


@contextlib.contextmanager
def under_way(registry: Registry, begun: Work, run_key: str) -> Iterator[None]:
    """Keep word of a live task until its episode is in the ledger.

    Args:
        registry: The home.
        begun: The task as it begins; `episode_id` is given.
        run_key: The run its episode will be kept in.
    """
    path = registry.home.live_task(begun.episode_id)
    with _lock(path):
        write_atomic(path, TaskUnderWay(work=begun, run_key=run_key).model_dump_json())
        try:
            yield
        finally:
            if rows_of(registry.ledger, Episode, run_key, [begun.episode_id]):
                _forget(path)


@contextlib.contextmanager
def taken_over(path: Path) -> Iterator[TaskUnderWay | None]:
    """Yield a task whose process is gone, held so that nobody else takes it over; else None."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_lock(path).acquire(blocking=False))
            found = TaskUnderWay.model_validate_json(path.read_bytes())
        except (Timeout, FileNotFoundError):
            yield None
            return
        except ValidationError:
            path.rename(path.with_suffix(".damaged"))
            yield None
            return
        yield found


def cut_off_work(registry: Registry, task: TaskUnderWay) -> Work:
    """Close what a task had begun, and return it as work that did not come to its end."""
    begun, ended = _by_phase(_actions(registry, [task.work.episode_id]))
    now = registry.clock()
    open_rows = [row for key, row in begun.items() if key not in ended]
    closed = [
        row.model_copy(update={"phase": "ended", "status": "cut off", "detail": GONE, "at": now})
        for row in open_rows
    ]
    registry.ledger.append(closed, run_key=task.run_key)
    rows = sorted(begun.values(), key=lambda row: row.position)
    last = max((row.at for row in (*rows, *ended.values())), default=task.work.started_at)
    told = RecordedAction(text=f"(cut off: {GONE})", at=last)
    used = {row.capability for row in rows if row.capability}
    return task.work.model_copy(
        update={
            "ended_at": last,
            "actions": (
                *(RecordedAction(tool=row.tool, fields=row.arguments, at=row.at) for row in rows),
                told,
            ),
            "metadata": named_capability(
                {**task.work.metadata, "ended_by": "its process was gone"}, sorted(used)
            ),
        }
    )


def forget(registry: Registry, task: TaskUnderWay) -> None:
    """Take a task, whose episode is in the ledger, from those under way."""
    _forget(registry.home.live_task(task.work.episode_id))


def cut_off_actions(registry: Registry) -> tuple[CutOffAction, ...]:
    """Return the live actions that were begun and never ended by themselves, the oldest first."""
    begun, ended = _by_phase(_actions(registry, None))
    gone = [row for key, row in begun.items() if key not in ended or ended[key].detail == GONE]
    return tuple(
        CutOffAction(row=row, at_work=is_at_work(registry.home, row.episode_id))
        for row in sorted(gone, key=lambda row: (row.at, row.position))
    )


def is_at_work(home: Home, episode_id: str) -> bool:
    """Tell whether the process of a live task lives."""
    path = home.live_task(episode_id)
    if not path.exists():
        return False
    try:
        with _lock(path).acquire(blocking=False):
            return False
    except Timeout:
        return True


def _actions(registry: Registry, episode_ids: Sequence[str] | None) -> Sequence[LiveActionRow]:
    if episode_ids is not None:
        return rows_of(registry.ledger, LiveActionRow, None, episode_ids)
    return registry.ledger.rows(LiveActionRow)


Key = tuple[str, int]


def _by_phase(
    rows: Sequence[LiveActionRow],
) -> tuple[dict[Key, LiveActionRow], dict[Key, LiveActionRow]]:
    """Return the rows that began and those that ended an action."""
    begun = {(row.episode_id, row.position): row for row in rows if row.phase == "begun"}
    ended = {(row.episode_id, row.position): row for row in rows if row.phase == "ended"}
    return begun, ended


def _lock(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_suffix(".lock"))


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".lock").unlink(missing_ok=True)
