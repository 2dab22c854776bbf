"""Which tasks of a collection are taken, and which of them are held out."""

import fnmatch
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from grindstone.benchmark.folder import TaskError
from grindstone.benchmark.task import Task
from grindstone.errors import InputError
from grindstone.joined import joined


class Split(NamedTuple):
    """Two disjoint sets of tasks, each by id."""

    train: tuple[Task, ...]
    holdout: tuple[Task, ...]


def select(
    tasks: Iterable[Task],
    *,
    ids: Sequence[str] = (),
    categories: Sequence[str] = (),
    difficulties: Sequence[str] = (),
    limit: int = 0,
    broken: Sequence[TaskError] = (),
) -> tuple[Task, ...]:
    """Return the tasks that match every filter given, by id.

    Args:
        tasks: From which to choose.
        ids: Ids or shell patterns such as `log-*`; several in one text, with commas
            between them, unless a task has that very id.
        categories: Compared without regard to case; likewise several.
        difficulties: Compared without regard to case; several, as of categories.
        limit: At most so many, the first by id; 0: all.
        broken: Folders that are no task; one that an id names is told of.

    Raises:
        InputError: A filter names what no task has, or a broken one, or nothing is left.
    """
    chosen = sorted(tasks, key=lambda task: task.task_id)
    if limit < 0:
        raise InputError("limit", f"is {limit}", "0 for all, or a positive number")
    for name, attribute, given, fits in (
        ("task_ids", "task_id", ids, fnmatch.fnmatchcase),
        ("category", "category", categories, _same),
        ("difficulty", "difficulty", difficulties, _same),
    ):
        if not given:
            continue
        have = [getattr(task, attribute) for task in chosen]
        wanted = _apart(given, have, fits)
        others = broken if attribute == "task_id" else ()
        unknown = [e for value in wanted if (e := _unknown(name, value, have, fits, others))]
        if unknown:
            raise InputError.together(unknown)
        chosen = [
            task
            for task in chosen
            if any(fits(getattr(task, attribute), value) for value in wanted)
        ]
    if not chosen:
        faults = "; ".join([fault.sentence for error in broken for fault in error.each][:3])
        problem = f"none is left ({faults})" if faults else "none is left"
        raise InputError("tasks", problem, "at least one task that loads and matches")
    return tuple(chosen[:limit] if limit else chosen)


def broken_among(broken: Sequence[TaskError], ids: Sequence[str]) -> tuple[TaskError, ...]:
    """Return the broken folders that would be tried if they were none; `ids` as in `select`."""
    names = _apart(ids, [error.task_id for error in broken], fnmatch.fnmatchcase)
    return tuple(
        error
        for error in broken
        if not ids or any(fnmatch.fnmatchcase(error.task_id, name) for name in names)
    )


def split(tasks: Sequence[Task], *, holdout_ratio: float, seed: int) -> Split:
    """Hold out a share of the tasks' clusters, spread over their categories.

    A cluster is on one side whole, and so are copies of a task (`units_of`); where no task names
    one, each is a cluster of its own.
    Within a category the clusters are ranked by a hash of seed and name, and the first of the
    ranking are held out, so the choice depends neither on order nor on the other tasks'
    names, and a task added later moves few others. How many: the share of all clusters,
    rounded, given to the categories by largest remainder. Where that number allows, every
    category of two or more has at least one held out; none is held out whole unless the
    number forces it. With two clusters or more and a ratio above 0, at least one is held out
    and at least one is not.

    Raises:
        InputError: The ratio is not in [0, 1).
    """
    if not 0 <= holdout_ratio < 1:
        raise InputError("holdout_ratio", f"is {holdout_ratio}", "at least 0 and below 1")
    held = ranked_share(units_of(tasks), ratio=holdout_ratio, seed=seed)
    ordered = sorted(tasks, key=lambda task: task.task_id)
    return Split(
        train=tuple(task for task in ordered if task.task_id not in held),
        holdout=tuple(task for task in ordered if task.task_id in held),
    )


def ranked_share(
    units: Sequence[Sequence[Task]],
    *,
    ratio: float,
    seed: int,
    first: Collection[str] = (),
    barred: Collection[str] = (),
) -> set[str]:
    """Return the ids of the tasks of a share of units, spread over categories; see `split`.

    Args:
        units: Tasks that stay together; a unit is of its first task's category.
        ratio: Share of the units.
        seed: Decides the ranking.
        first: Ids whose units come before the ranking's.
        barred: Ids whose units are not taken: the share is smaller for it.
    """
    strata: defaultdict[str, list[list[Task]]] = defaultdict(list)
    for unit in units:
        members = sorted(unit, key=lambda task: task.task_id)
        strata[members[0].category].append(members)
    counts = _counts({name: len(found) for name, found in strata.items()}, ratio)

    def rank(unit: list[Task]) -> tuple[bool, bytes]:
        late = not any(task.task_id in first for task in unit)
        return late, hashlib.sha256(f"{seed}\0{unit[0].cluster}".encode()).digest()

    taken: set[str] = set()
    for name, found in strata.items():
        free = [unit for unit in found if not any(task.task_id in barred for task in unit)]
        for unit in sorted(free, key=rank)[: counts[name]]:
            taken.update(task.task_id for task in unit)
    return taken


class Marked(Protocol):
    """What tells copies and relatives of a task: the task itself, or a row on it."""

    @property
    def task_id(self) -> str: ...  # noqa: D102 - as there
    @property
    def cluster(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def twins(self) -> tuple[str, ...]: ...  # noqa: D102


_M = TypeVar("_M", bound=Marked)


def units_of(tasks: Iterable[_M]) -> list[list[_M]]:
    """Return tasks that stand or fall together: of one cluster, in the same words, or twins.

    A copy under another name or in other words is no second piece of evidence, whatever cluster
    it names.
    """
    known = {task.task_id: task for task in sorted(tasks, key=lambda task: task.task_id)}
    units = joined({name: _marks_of(task) for name, task in known.items()})
    return [[known[name] for name in unit] for unit in units]


def clusters_of(tasks: Iterable[Marked]) -> dict[str, str]:
    """Return by task id what each counts with, copies with their originals: the tests' unit."""
    return {task.task_id: unit[0].cluster for unit in units_of(tasks) for task in unit}


def _marks_of(task: Marked) -> tuple[str, ...]:
    named = f"cluster {task.cluster or task.task_id}"
    text = (f"text {task.fingerprint}",) if task.fingerprint else ()
    return (named, *text, *(f"twin {mark}" for mark in task.twins))


def _counts(sizes: dict[str, int], ratio: float) -> dict[str, int]:
    """Return how many of each category are held out."""
    total = sum(sizes.values())
    wanted = math.floor(ratio * total + 0.5)
    if ratio > 0 and total >= 2:
        wanted = min(max(wanted, 1), total - 1)
    shares = {name: ratio * size for name, size in sizes.items()}
    counts = {name: min(math.floor(share), sizes[name]) for name, share in shares.items()}
    splittable = [name for name, size in sizes.items() if size >= 2]
    if wanted >= len(splittable):
        counts |= {name: max(counts[name], 1) for name in splittable}
    while (missing := wanted - sum(counts.values())) != 0:
        step = 1 if missing > 0 else -1
        # Furthest below its share gains, furthest above it loses; ties by name.
        movable = [
            name
            for name in sorted(sizes)
            if (step > 0 and counts[name] < sizes[name])
            or (step < 0 and counts[name] > (1 if name in splittable else 0))
        ] or [name for name in sorted(sizes) if counts[name] > 0]
        whole = [name for name in movable if counts[name] + step < sizes[name]] or movable
        moved = max(whole, key=lambda name: step * (shares[name] - counts[name]))
        counts[moved] += step
    return counts


def _same(value: str, wanted: str) -> bool:
    return value.casefold() == wanted.casefold()


def _apart(
    given: Sequence[str], present: Sequence[str], fits: Callable[[str, str], bool]
) -> list[str]:
    """Take texts with commas apart and blanks off, but for those that fit as they are."""
    found: list[str] = []
    for text in given:
        parts = [part for raw in text.split(",") if (part := raw.strip())]
        found += [text] if not parts or any(fits(value, text) for value in present) else parts
    return found


def _unknown(
    name: str,
    wanted: str,
    present: Sequence[str],
    fits: Callable[[str, str], bool],
    broken: Sequence[TaskError],
) -> InputError | None:
    if any(fits(value, wanted) for value in present):
        return None
    for error in broken:
        if fits(error.task_id, wanted):
            problem = f"is broken: {error.where}: {error.problem}"
            return InputError(f"{name} {wanted}", problem, error.expected)
    known = sorted(set(present))
    shown = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return InputError(name, f"no task has {wanted!r}", f"one of {shown}" if known else "a match")
