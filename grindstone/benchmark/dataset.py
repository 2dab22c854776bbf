"""Which tasks of a collection are taken, and which of them are held out."""

import fnmatch
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from grindstone.benchmark.loading import TaskError
from grindstone.benchmark.task import Task
from grindstone.errors import InputError


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
        difficulties: Likewise.
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
        raise InputError("tasks", "none is left", "at least one task that loads and matches")
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
    """Hold out a share of the tasks, spread over their categories.

    Within a category the tasks are ranked by a hash of seed and id, and the first of the
    ranking are held out, so the choice depends neither on order nor on the other tasks'
    names, and a task added later moves few others. How many: the share of all tasks,
    rounded, given to the categories by largest remainder. Where that number allows, every
    category of two or more has at least one held out; none is held out whole unless the
    number forces it. With two tasks or more and a ratio above 0, at least one is held out
    and at least one is not.

    Raises:
        InputError: The ratio is not in [0, 1).
    """
    if not 0 <= holdout_ratio < 1:
        raise InputError("holdout_ratio", f"is {holdout_ratio}", "at least 0 and below 1")
    strata: defaultdict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        strata[task.category].append(task)
    counts = _counts({name: len(members) for name, members in strata.items()}, holdout_ratio)
    held: set[str] = set()
    for name, members in strata.items():
        ranked = sorted(members, key=lambda task: _rank(seed, task.task_id))
        held.update(task.task_id for task in ranked[: counts[name]])
    ordered = sorted(tasks, key=lambda task: task.task_id)
    return Split(
        train=tuple(task for task in ordered if task.task_id not in held),
        holdout=tuple(task for task in ordered if task.task_id in held),
    )


def _rank(seed: int, task_id: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{task_id}".encode()).digest()


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
    """Take texts with commas apart, but for those that fit as they are."""
    found: list[str] = []
    for text in given:
        whole = "," not in text or any(fits(value, text) for value in present)
        found += [text] if whole else [part for raw in text.split(",") if (part := raw.strip())]
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
