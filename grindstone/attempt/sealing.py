"""Which tasks a run leaves alone, since a release alone may look at them.

A task that a run sealed stays sealed in its home; one that a run learned from or chose changes
by is never sealed. Both are known by digest, by the words of the instruction and by what decides
them (`benchmark/twins.py`), so that another name, wording, agent or folder changes nothing. The
choice is made once per run, under a lock of the whole home and before any attempt, and a resumed
run finds it in the ledger.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from grindstone.benchmark import Task
from grindstone.benchmark.dataset import ranked_share, units_of
from grindstone.errors import InputError
from grindstone.gate.power import detectable_effect
from grindstone.gate.rules import least_tasks
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import TaskPartRow
from grindstone.ledger.tables.runs import QuarantineRow
from grindstone.records import Episode, Purpose, utc_now
from grindstone.runs.remote_lock import RemoteLock
from grindstone.settings import ReleaseSettings, RunSettings, SearchOptions
from grindstone.workspace.lock import WriterLock

QUARANTINE = timedelta(days=7)
"""So long a task that was found at fault is left alone: an outage ends, and files get mended."""

LOOKING = frozenset({"compare", "route", "compete"})
"""Kinds of runs that attempt tasks and learn nothing from them."""

_LEARNED = [
    purpose.value for purpose in (Purpose.GRIND, Purpose.ADAPT, Purpose.TRAIN, Purpose.GATE)
]


class Parted(NamedTuple):
    """A run's tasks, and what there is to say about those it leaves alone."""

    open: tuple[Task, ...]
    sealed: tuple[Task, ...]
    notes: tuple[str, ...]


class Marks(NamedTuple):
    """What the runs of a home have done with tasks, by their marks."""

    learned: frozenset[str]
    sealed: frozenset[str]

    def are_learned(self, task: Task) -> bool:
        """Whether some run learned from the task or a copy of it, or chose changes by it."""
        return bool(marks_of(task) & self.learned)

    def are_sealed(self, task: Task) -> bool:
        """Whether some run sealed the task or a copy of it, and none has learned from it."""
        return bool(marks_of(task) & self.sealed) and not self.are_learned(task)


def marks_of(task: Task) -> frozenset[str]:
    """Return what a task is known by, whatever it is called."""
    return frozenset((task.digest, task.fingerprint, *task.twins))


@contextlib.contextmanager
def account_held(home: Home) -> Iterator[None]:
    """Hold the lock under which tasks are sealed, and looks at them are booked."""
    home.root.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        held.enter_context(WriterLock(home.account_lock).hold())
        if home.mirror is not None:
            held.enter_context(RemoteLock(home.mirror, home.account_lock).hold())
        yield


def marks(ledger: Ledger, *, but: str = "") -> Marks:
    """Return what the runs of a home, but for one, have done with tasks."""
    import polars as pl

    learned: set[str] = set()
    sealed: set[str] = set()
    for row in ledger.rows(TaskPartRow):
        if row.run_key != but and row.part in ("sealed", "learned"):
            found = sealed if row.part == "sealed" else learned
            found.update((row.task_digest, row.fingerprint, *row.twins))
    tried = (  # by runs that were made before parts were noted
        ledger.scan(Episode)
        .filter(pl.col("purpose").is_in(_LEARNED), pl.col("run_key") != but)
        .select(pl.col("task_digest").unique())
        .collect()
    )
    learned.update(tried["task_digest"].to_list())
    return Marks(frozenset(learned - {""}), frozenset(sealed - {""}))


def part_tasks(kind: str, settings: RunSettings, run_key: str, tasks: Sequence[Task]) -> Parted:
    """Choose a run's sealed tasks, or find which they were, and note all of its tasks.

    Args:
        kind: The run's kind; a release's tasks are chosen by `releasable`.
        settings: Its settings.
        run_key: The run.
        tasks: All of its tasks.

    Raises:
        InputError: All of its tasks are sealed.
    """
    ledger = Ledger(settings.home)
    with account_held(settings.home):
        kept = {row.task_id: row for row in ledger.rows(TaskPartRow, run_key)}
        before = marks(ledger, but=run_key)
        if kept:
            sealed = {task_id for task_id, row in kept.items() if row.part == "sealed"}
            ill = {task_id for task_id, row in kept.items() if row.part == "quarantined"}
        else:
            sealed = _chosen(settings, tasks, before)
            ill = _quarantined(settings, ledger, tasks) - sealed
            part: Literal["seen", "learned"] = "seen" if kind in LOOKING else "learned"
            rows = [
                TaskPartRow(
                    run_key=run_key,
                    task_id=task.task_id,
                    task_digest=task.digest,
                    fingerprint=task.fingerprint,
                    twins=task.twins,
                    cluster=task.cluster,
                    part="sealed"
                    if task.task_id in sealed
                    else "quarantined"
                    if task.task_id in ill
                    else part,
                )
                for task in tasks
            ]
            if len(sealed | ill) < len(tasks):
                ledger.append(rows, run_key=run_key)
    apart = tuple(task for task in tasks if task.task_id in sealed)
    if len(apart) == len(tasks):
        expected = "tasks that no run of this home has sealed; `grindstone release` looks at these"
        raise InputError("tasks", "are all sealed", expected)
    rest = tuple(task for task in tasks if task.task_id not in sealed | ill)
    if not rest:
        problem = f"are in quarantine ({', '.join(sorted(ill))}) or sealed"
        expected = f"tasks that work; a quarantine ends after {QUARANTINE.days} days"
        raise InputError("tasks", problem, expected)
    told = [f"In quarantine, and left alone: {', '.join(sorted(ill))}"] if ill else []
    return Parted(rest, apart, (*_notes(settings, tasks, apart, before), *told))


def _quarantined(settings: RunSettings, ledger: Ledger, tasks: Sequence[Task]) -> set[str]:
    """Return the ids of tasks that a run which learns had better leave alone."""
    if not isinstance(settings, SearchOptions):
        return set()
    since = utc_now() - QUARANTINE
    ill = {row.task_digest for row in ledger.rows(QuarantineRow) if row.at > since}
    return {task.task_id for task in tasks if task.digest in ill}


def releasable(ledger: Ledger, tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Return the tasks that no run of the home has learned from or chosen changes by."""
    before = marks(ledger)
    free = [unit for unit in units_of(tasks) if not any(before.are_learned(t) for t in unit)]
    return tuple(sorted((t for unit in free for t in unit), key=lambda task: task.task_id))


def _chosen(settings: RunSettings, tasks: Sequence[Task], before: Marks) -> set[str]:
    """Return the ids of the tasks that stay sealed, and of those that are sealed now."""
    units = units_of(tasks)
    sealed = {task.task_id for task in tasks if before.are_sealed(task)}
    learned = {task.task_id for task in tasks if before.are_learned(task)}
    for unit in units:  # what is new of a sealed cluster is sealed with it
        if any(t.task_id in sealed for t in unit) and not any(t.task_id in learned for t in unit):
            sealed.update(task.task_id for task in unit)
    if isinstance(settings, SearchOptions) and settings.sealed_ratio > 0 and len(units) > 1:
        ratio, seed = settings.sealed_ratio, settings.split_seed
        sealed |= ranked_share(units, ratio=ratio, seed=seed, first=sealed, barred=learned)
    return sealed


def _notes(
    settings: RunSettings, tasks: Sequence[Task], sealed: Sequence[Task], before: Marks
) -> Iterable[str]:
    """Say, without a name, what is sealed, what could not be, and what that is worth."""
    if not isinstance(settings, SearchOptions):
        if sealed:
            yield f"{len(sealed)} of {len(tasks)} tasks are sealed for a release and left alone"
        return
    yield claim_sentence(sealed)
    if not settings.sealed_ratio:
        return
    learned = sum(before.are_learned(task) for task in tasks)
    if learned:
        yield f"{learned} of {len(tasks)} tasks, or copies of them, have taught before: not sealed"


def claim_sentence(sealed: Collection[Task]) -> str:
    """Return what a first release on some tasks could find, told before anything is paid."""
    usual = ReleaseSettings()
    units, level = len(units_of(list(sealed))), usual.alpha / 2
    if not units:
        return (
            "No task is sealed: what this run keeps is what scored higher while searching, and no "
            "gain of it can be claimed; --sealed-ratio keeps tasks for a release, which takes "
            f"{least_tasks(level)} clusters of them"
        )
    what = f"{len(sealed)} sealed task{'s' * (len(sealed) != 1)}"
    if units != len(sealed):
        what += f" in {units} cluster{'s' * (units != 1)}"
    effect = detectable_effect(units, usual.trials, alpha=level)
    if effect is None:
        needed = least_tasks(level)
        return (
            f"{what}: too few to claim any gain of this run, which takes {needed} clusters; the "
            "run goes on, and what it keeps is what scored higher while searching"
        )
    return (
        f"{what} find a gain of {100 * effect:.0f} points four times in five "
        f"({usual.trials} trials each, a release at a level of {level:.1%})"
    )
