"""What changed between two runs: the tasks that flipped, and the evolutions that lie between.

A side is a run (`KEY`), one arm of it (`KEY@with`) or one cycle of it (`KEY@cycle-2`).
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.ledger import Ledger, queries
from grindstone.records import Arm, Episode
from grindstone.report.run_list import RunLine, find_run, list_runs
from grindstone.report.words import money
from grindstone.workspace import Workspace
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.history import EvolutionRef

if TYPE_CHECKING:
    import polars as pl


class TaskSide(Frozen):
    """How one task ended in one run."""

    passed: bool | None
    """None: it has no score there."""
    episode_id: str | None
    """Its last scored attempt."""
    tests_passed: int | None
    tests_total: int | None
    cost_usd: float | None
    cost: str
    """The same in words, as reports have it."""
    duration_s: float


class TaskChange(Frozen):
    """One task in two runs; a side without an attempt is None."""

    task_id: str
    before: TaskSide | None
    after: TaskSide | None

    @property
    def flipped(self) -> bool:
        """Whether it passed in one and failed in the other."""
        sides = {None if side is None else side.passed for side in (self.before, self.after)}
        return sides == {True, False}


class RunDiff(Frozen):
    """Two runs side by side.

    A task counts by its last scored attempt of each run. Nothing here is a claim that the
    agent gained: other tasks, models or luck may lie between two runs as well.
    """

    before: RunLine
    after: RunLine
    before_part: str
    """The arm or cycle that counts; empty: the whole run."""
    after_part: str
    tasks: tuple[TaskChange, ...]
    evolutions: tuple[EvolutionRef, ...]
    """Those that the later run's last workspace has and the earlier one's had not."""
    skill_diff: str
    """git's, of the skills between those two workspaces; empty where they are equal."""

    @property
    def gained(self) -> tuple[str, ...]:
        """The tasks that failed before and pass now."""
        return self._flipped(to=True)

    @property
    def lost(self) -> tuple[str, ...]:
        """The tasks that passed before and fail now."""
        return self._flipped(to=False)

    def _flipped(self, *, to: bool) -> tuple[str, ...]:
        return tuple(
            task.task_id
            for task in self.tasks
            if task.flipped and task.after is not None and task.after.passed is to
        )


class DiffSide(NamedTuple):
    """Which attempts are held against others."""

    run_key: str
    part: str
    """An arm, `cycle-N`, or empty: all that the run is about."""

    def __str__(self) -> str:
        """Return what names it: `KEY` or `KEY@PART`."""
        return f"{self.run_key}@{self.part}" if self.part else self.run_key

    def attempts(self, ledger: Ledger) -> "pl.LazyFrame":
        """Return its attempts, the last one per task and trial."""
        import polars as pl

        frame = ledger.scan(Episode, self.run_key)
        if self.part in set(Arm):
            frame = frame.filter(pl.col("arm") == self.part) if self.part else frame
        else:
            frame = frame.filter(pl.col("cycle") == int(self.part.removeprefix("cycle-")))
        of_arm = bool(self.part) and self.part in set(Arm)
        return queries.latest(frame if of_arm else queries.main_attempts(frame))


def find_side(ledger: Ledger, text: str) -> DiffSide:
    """Return the side that `KEY`, `KEY@ARM` or `KEY@cycle-N` names; the key may be cut.

    Raises:
        InputError: There is no such run, or it has no attempts in that part.
    """
    key, _, part = text.partition("@")
    if part not in set(Arm) and not re.fullmatch(r"cycle-\d{1,6}", part):
        arms = ", ".join(arm.value for arm in Arm if arm)
        raise InputError(text, f"has no part {part!r}", f"an arm ({arms}) or cycle-N")
    side = DiffSide(find_run(ledger, key), part)
    if part and part not in (known := known_parts(ledger, side.run_key)):
        there = ", ".join(str(side._replace(part=each)) for each in known)
        expected = f"one of its parts ({there})" if there else "the whole run, without @"
        raise InputError(text, f"the run has no attempts in {part}", expected)
    return side


def known_parts(ledger: Ledger, run_key: str) -> tuple[str, ...]:
    """Return what can stand behind a run's `@`: the arms and cycles that have attempts."""
    import polars as pl

    episodes = ledger.scan(Episode, run_key)
    arms = episodes.select(pl.col("arm").unique()).collect().to_series()
    cycles = queries.main_attempts(episodes).select(pl.col("cycle").unique()).collect().to_series()
    return (
        *sorted(filter(None, arms)),
        *(f"cycle-{each}" for each in sorted(filter(None, cycles))),
    )


def run_parts(ledger: Ledger, run_key: str) -> tuple[tuple[str, str], ...]:
    """Return the parts of a run that are worth holding against each other: arms, then cycles."""
    known = known_parts(ledger, run_key)
    pairs = ((Arm.WITHOUT, Arm.WITH), (Arm.BASELINE, Arm.CANDIDATE))
    found = [(a.value, b.value) for a, b in pairs if {a.value, b.value} <= set(known)]
    last = next((part for part in reversed(known) if part.startswith("cycle-")), "cycle-1")
    return (*found, *([("cycle-1", last)] if last != "cycle-1" else []))


def diff_runs(ledger: Ledger, before: str, after: str) -> RunDiff:
    """Return what changed between two runs of a home, or between two parts of runs.

    Args:
        ledger: With both runs.
        before: The earlier side, as `find_side` reads it.
        after: The later side.

    Raises:
        InputError: A side names nothing.
    """
    first, second = find_side(ledger, before), find_side(ledger, after)
    lines = {line.run_key: line for line in list_runs(ledger, (first.run_key, second.run_key))}
    old, new = (_sides(ledger, side, lines[side.run_key]) for side in (first, second))
    changes = tuple(
        TaskChange(task_id=task, before=old.get(task), after=new.get(task))
        for task in sorted(old | new)
    )
    evolutions, skill_diff = _between(ledger, lines[second.run_key].agent_id, first, second)
    return RunDiff(
        before=lines[first.run_key],
        after=lines[second.run_key],
        before_part=first.part,
        after_part=second.part,
        tasks=changes,
        evolutions=evolutions,
        skill_diff=skill_diff,
    )


def _sides(ledger: Ledger, side: DiffSide, run: RunLine) -> dict[str, TaskSide]:
    tasks = queries.by_task(side.attempts(ledger)).collect()
    rows: list[dict[str, Any]] = tasks.to_dicts()
    return {row["task_id"]: _side(row, run) for row in rows}


def _side(row: dict[str, Any], run: RunLine) -> TaskSide:
    cost = money(row["cost_usd"], row["unpriced"], rehearsal=run.rehearsal)
    return TaskSide(cost=cost, **{name: row[name] for name in TaskSide.model_fields if name in row})


def _between(
    ledger: Ledger, agent_id: str, before: DiffSide, after: DiffSide
) -> tuple[tuple[EvolutionRef, ...], str]:
    """Return evolutions and skill diff; nothing where the two are of different workspaces."""
    ends = [_last_commit(ledger, side, agent_id) for side in (before, after)]
    try:
        workspace = Workspace.reading(ledger.home.workspace(agent_id))
        first, last = (workspace.repository.resolve(end) for end in ends)
    except (WorkspaceError, InputError):
        return (), ""
    new = {commit.commit for commit in workspace.repository.log(f"{first}..{last}")}
    kept = tuple(ref for ref in workspace.history() if ref.commit in new)
    return kept, workspace.repository.run("diff", "--no-color", first, last, "--", "skills")


def _last_commit(ledger: Ledger, side: DiffSide, agent_id: str) -> str:
    import polars as pl

    frame = (
        side.attempts(ledger)
        .filter(pl.col("agent_id") == agent_id)
        .sort("started_at")
        .select("workspace_commit")
        .collect()
    )
    return str(frame.item(-1, 0)) if frame.height else ""
