"""What changed between two runs: the tasks that flipped, and the evolutions that lie between."""

from typing import TYPE_CHECKING, Any

from grindstone.base import Frozen
from grindstone.home import Home
from grindstone.ledger import Ledger, queries
from grindstone.records import Episode
from grindstone.report.run_list import RunLine, list_runs
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


def diff_runs(home: Home, before: str, after: str) -> RunDiff:
    """Return what changed between two runs of a home.

    Args:
        home: With both runs in its ledger.
        before: The earlier run's key.
        after: The later run's key.
    """
    ledger = Ledger(home)
    lines = {line.run_key: line for line in list_runs(ledger, (before, after))}
    sides = {key: _sides(ledger, key) for key in (before, after)}
    changes = tuple(
        TaskChange(task_id=task, before=sides[before].get(task), after=sides[after].get(task))
        for task in sorted(sides[before] | sides[after])
    )
    evolutions, skill_diff = _between(home, lines[after].agent_id, ledger, before, after)
    return RunDiff(
        before=lines[before],
        after=lines[after],
        tasks=changes,
        evolutions=evolutions,
        skill_diff=skill_diff,
    )


def _main(ledger: Ledger, run_key: str) -> "pl.LazyFrame":
    return queries.latest(queries.main_attempts(ledger.scan(Episode, run_key)))


def _sides(ledger: Ledger, run_key: str) -> dict[str, TaskSide]:
    rows: list[dict[str, Any]] = queries.by_task(_main(ledger, run_key)).collect().to_dicts()
    return {row["task_id"]: TaskSide.model_validate(_chosen(row)) for row in rows}


def _chosen(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in TaskSide.model_fields}


def _between(
    home: Home, agent_id: str, ledger: Ledger, before: str, after: str
) -> tuple[tuple[EvolutionRef, ...], str]:
    """Return evolutions and skill diff; nothing where the two are of different workspaces."""
    ends = [_last_commit(ledger, run_key, agent_id) for run_key in (before, after)]
    try:
        workspace = Workspace.open(home.workspace(agent_id))
        first, last = (workspace.repository.resolve(end) for end in ends)
    except WorkspaceError:
        return (), ""
    new = {commit.commit for commit in workspace.repository.log(f"{first}..{last}")}
    kept = tuple(ref for ref in workspace.history() if ref.commit in new)
    return kept, workspace.repository.run("diff", "--no-color", first, last, "--", "skills")


def _last_commit(ledger: Ledger, run_key: str, agent_id: str) -> str:
    import polars as pl

    frame = (
        _main(ledger, run_key)
        .filter(pl.col("agent_id") == agent_id)
        .sort("started_at")
        .select("workspace_commit")
        .collect()
    )
    return str(frame.item(-1, 0)) if frame.height else ""
