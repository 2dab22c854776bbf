"""Live tasks that have not ended: what is known of each while its process lives, and after.

    <home>/live/<episode>.json    the task as it began; then as its episode is to tell it
    <home>/live/<episode>.held    held by its process, and let go of when that is killed

Whoever finds a task that nobody holds knows that its process is gone: what it had begun is closed
as cut off, and it becomes an episode like any other that did not come to its end. In a remote home
both are objects, and a task on another machine is held as long as that gives signs of life.

What an episode tells is written down once, before the episode is kept: whoever dies between the
two has it kept by the next one, as it was written, and of two who would tell it the first one does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.errors import InfrastructureError, InputError, RefusedError
from grindstone.graduation.intake.live_actions import OVER_TIME
from grindstone.graduation.intake.live_work import named_capability
from grindstone.graduation.intake.recording import RecordedAction, Work
from grindstone.graduation.registry import Registry
from grindstone.home import Home
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.records import Episode
from grindstone.remote.mirror import mirror_of
from grindstone.remote.shared_record import SharedRecord
from grindstone.remote.store import AT_ONCE
from grindstone.runs.lock import driven_elsewhere, held
from grindstone.runs.remote_lock import Lost, RemoteLock
from grindstone.sync import ender
from grindstone.text import second

GONE = "its process ended before it did: whether it was done is not known"


class TakenOverError(RefusedError):
    """Another process has told how a live task ended, since this one gave no sign of life."""


class TaskUnderWay(Frozen):
    """A live task."""

    work: Work  # as it began; where it has ended, as its episode tells it
    run_key: str
    ended: bool = False


class LiveTask:
    """A live task that this process holds."""

    def __init__(self, path: Path, begun: TaskUnderWay) -> None:
        """Take the place of its record, and what that says."""
        self._record = SharedRecord(path, TaskUnderWay)
        self.begun = begun

    def look(self) -> None:
        """Make sure that it is still this process's.

        Raises:
            TakenOverError: Somebody else has told how it ended.
            InfrastructureError: The storage of a remote home did not answer.
        """
        found = self._record.read()
        if found is None or found.ended:
            raise self._taken_over()

    def end(self, work: Work) -> None:
        """Write down what its episode tells, before that is kept.

        Raises:
            TakenOverError: Somebody else has told it otherwise.
            InfrastructureError: The storage of a remote home did not answer.
        """
        ended = self.begun.model_copy(update={"work": work, "ended": True})

        def once(found: TaskUnderWay | None) -> TaskUnderWay:
            if found is None or (found.ended and not _same(found, ended)):
                raise self._taken_over()
            return ended

        self._record.change(once)

    def _taken_over(self) -> TakenOverError:
        work = self.begun.work
        return TakenOverError(
            f"live task {work.episode_id} of {work.agent_id} was ended by another process, since "
            "this one gave no sign of life for a minute: its episode says that it was cut off"
        )


class CutOffAction(Frozen):
    """A live action that was begun and, as far as anybody knows, never ended."""

    row: LiveActionRow
    at_work: bool  # its process lives, and may still end it
    over_time: bool = False  # it did not return in time, and was called off

    def __str__(self) -> str:
        where = f"{self.row.tool} of {self.row.agent_id}, episode {self.row.episode_id}"
        state = "is at work" if self.at_work else "was begun and never closed"
        state = "did not return in time, was called off" if self.over_time else state
        return f"live action {where}: {state} (begun {second(self.row.at)} UTC)"


@contextlib.asynccontextmanager
async def under_way(registry: Registry, begun: Work, run_key: str) -> AsyncIterator[LiveTask]:
    """Keep word of a live task until its episode is in the ledger.

    The present task is cancelled where this process gives no sign of life for so long that
    another machine may settle it.

    Args:
        registry: The home.
        begun: The task as it begins; `episode_id` is given.
        run_key: The run its episode will be kept in.

    Raises:
        InputError: There is an episode of that id, or a process is at work on it.
        InfrastructureError: The storage of a remote home did not answer.
    """
    path, episode_id = registry.home.live_task(begun.episode_id), begun.episode_id
    lost = ender(f"live task {episode_id} was called off, for its lock is lost")
    async with contextlib.AsyncExitStack() as holding:
        try:
            await holding.enter_async_context(_held(path, lost))
        except TimeoutError as error:
            raise driven_elsewhere(episode_id) from error
        record = SharedRecord(path, TaskUnderWay)
        kept = await asyncio.to_thread(_is_kept, registry, run_key, episode_id)
        if kept or await asyncio.to_thread(record.exists):
            problem = "is a live task that has ended"
            raise InputError(f"--run-key {episode_id}", problem, "another one, or none")
        task = TaskUnderWay(work=begun, run_key=run_key)
        await asyncio.to_thread(record.change, lambda _: task)
        try:
            yield LiveTask(path, task)
        finally:
            with contextlib.suppress(InfrastructureError):  # the next one to look settles it
                if await asyncio.to_thread(_is_kept, registry, run_key, episode_id):
                    await asyncio.to_thread(_forget, path)


def tasks_under_way(home: Home) -> tuple[Path, ...]:
    """Return the records of the live tasks of a home that have not ended, on all machines."""
    if home.mirror is None:
        return tuple(sorted(home.live_tasks.glob("*.json")))
    listed = home.mirror.store.listed(home.mirror.name_of(home.live_tasks))
    return tuple(home.root / each.name for each in listed if each.name.endswith(".json"))


@contextlib.asynccontextmanager
async def taken_over(path: Path) -> AsyncIterator[TaskUnderWay | None]:
    """Yield a task whose process is gone, held so that nobody else takes it over; else None.

    Args:
        path: Of its record.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """
    async with contextlib.AsyncExitStack() as holding:
        try:
            await holding.enter_async_context(_held(path))
        except TimeoutError:
            yield None
            return
        yield await asyncio.to_thread(_read, path)


def cut_off_work(registry: Registry, task: TaskUnderWay) -> Work:
    """Close what a task had begun, and return it as work that did not come to its end.

    Where its process had written down how it ended, that is what is returned.

    Raises:
        TakenOverError: Its process lives after all, and has told how it ended.
        InfrastructureError: The storage of a remote home did not answer.
    """
    begun, ended = _by_phase(_actions(registry, [task.work.episode_id]))
    work = task.work
    if not task.ended:
        work = _cut_off(task.work, begun, ended)
        LiveTask(registry.home.live_task(work.episode_id), task).end(work)
    closing = {"phase": "ended", "status": "cut off", "detail": GONE, "at": registry.clock()}
    closed = [row.model_copy(update=closing) for key, row in begun.items() if key not in ended]
    registry.ledger.append(closed, run_key=task.run_key)
    return work


def _cut_off(
    work: Work, begun: Mapping["Key", LiveActionRow], ended: Mapping["Key", LiveActionRow]
) -> Work:
    rows = sorted(begun.values(), key=lambda row: row.position)
    last = max((row.at for row in (*rows, *ended.values())), default=work.started_at)
    told = RecordedAction(text=f"(cut off: {GONE})", at=last)
    used = {row.capability for row in rows if row.capability}
    return work.model_copy(
        update={
            "ended_at": last,
            "actions": (
                *(RecordedAction(tool=row.tool, fields=row.arguments, at=row.at) for row in rows),
                told,
            ),
            "metadata": named_capability(
                {**work.metadata, "ended_by": "its process was gone"}, sorted(used)
            ),
        }
    )


def forget(registry: Registry, task: TaskUnderWay) -> None:
    """Take a task, whose episode is in the ledger, from those under way."""
    _forget(registry.home.live_task(task.work.episode_id))


def cut_off_actions(registry: Registry) -> tuple[CutOffAction, ...]:
    """Return the live actions that were begun and never ended by themselves, the oldest first.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """
    begun, ended = _by_phase(_actions(registry, None))
    late = {key for key, row in ended.items() if row.status == OVER_TIME}
    gone = [
        (key, row)
        for key, row in begun.items()
        if key not in ended or key in late or ended[key].detail == GONE
    ]
    at_work = _at_work(registry.home, {row.episode_id for key, row in gone if key not in late})
    return tuple(
        CutOffAction(
            row=row,
            at_work=key not in late and row.episode_id in at_work,
            over_time=key in late,
        )
        for key, row in sorted(gone, key=lambda each: (each[1].at, each[1].position))
    )


def _at_work(home: Home, episode_ids: Collection[str]) -> set[str]:
    """Return the live tasks among these whose process lives."""
    there = set(tasks_under_way(home))
    asked = [each for each in sorted(episode_ids) if home.live_task(each) in there]
    with ThreadPoolExecutor(AT_ONCE, "live tasks") as pool:  # a minute each where a machine is gone
        lives = pool.map(lambda each: _lives(home.live_task(each)), asked)
        return {each for each, at_work in zip(asked, lives, strict=True) if at_work}


def _lives(path: Path) -> bool:
    if (mirror := mirror_of(path)) is not None:
        return RemoteLock(mirror, _lock(path)).lives()
    try:
        with FileLock(_lock(path), blocking=False):
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


def _is_kept(registry: Registry, run_key: str, episode_id: str) -> bool:
    return bool(rows_of(registry.ledger, Episode, run_key, [episode_id]))


def _read(path: Path) -> TaskUnderWay | None:
    """Return a task's record; one that is damaged is set aside."""
    mirror = mirror_of(path)
    try:
        content = path.read_bytes() if mirror is None else mirror.get(path)
        return None if content is None else TaskUnderWay.model_validate_json(content)
    except FileNotFoundError:
        return None
    except ValidationError:
        aside = path.with_suffix(".damaged")
        if mirror is not None:
            mirror.store.put(mirror.name_of(aside), content or b"")
            _remove(path)
        else:
            path.rename(aside)
        return None


def _same(one: TaskUnderWay, other: TaskUnderWay) -> bool:
    return one.model_dump_json() == other.model_dump_json()


@contextlib.asynccontextmanager
async def _held(path: Path, lost: Lost = lambda _: None) -> AsyncIterator[None]:
    """Hold a task; raises TimeoutError where a living process does."""
    with contextlib.ExitStack() as holding:
        await asyncio.to_thread(holding.enter_context, held(_lock(path), lost=lost))
        try:
            yield
        finally:
            await asyncio.to_thread(_let_go, path, holding)


def _let_go(path: Path, holding: contextlib.ExitStack) -> None:
    """Release a task's lock, which goes where nothing is left to be held."""
    holding.close()
    with contextlib.suppress(InfrastructureError):
        if not SharedRecord(path, TaskUnderWay).exists():
            _remove(_lock(path))


def _lock(path: Path) -> Path:
    return path.with_suffix(".held")


def _forget(path: Path) -> None:
    """Remove a task's record; who finds its lock free finds nothing to settle."""
    _remove(path)
    path.with_suffix(".lock").unlink(missing_ok=True)  # of changes to the record


def _remove(path: Path) -> None:
    if (mirror := mirror_of(path)) is not None:
        mirror.remove(path)
    path.unlink(missing_ok=True)
