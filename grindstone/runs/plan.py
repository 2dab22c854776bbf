"""What a run is going to do, fixed at its start so that resuming it means the same."""

import glob
import json
import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from grindstone.base import Frozen
from grindstone.benchmark import Task, load_tasks
from grindstone.benchmark.dataset import broken_among, select
from grindstone.benchmark.skillbench import SkillBenchBenchmark, TaskPair
from grindstone.benchmark.variants import strip_skills
from grindstone.errors import InputError
from grindstone.files import read_record
from grindstone.home import Home
from grindstone.resources import bundled
from grindstone.runs.task_set import tasks_folder
from grindstone.settings import RunSettings
from grindstone.workspace import Snapshot, Workspace

S = TypeVar("S", bound=RunSettings)

FREE_TO_CHANGE = frozenset(
    {
        *("max_workers", "max_cost_usd", "max_tokens_total", "dispatch"),
        *("slice_size", "max_slices", "requests_per_minute", "tokens_per_minute"),
        *("allow_broken", "run_key", "work_dir"),
    }
)
"""Settings a resumed run may have otherwise: they decide how, not what."""


class RunPlan(Frozen):
    """A run's fixed part, kept as `runs/<run_key>/plan.json`."""

    run_key: str
    kind: str
    settings: dict[str, JsonValue]
    tasks: dict[str, str]  # task id → digest, in the order of the run
    base: Snapshot  # the workspace the run started from


class Planned(Frozen):
    """A plan with what it was made of."""

    plan: RunPlan
    tasks: tuple[Task, ...]
    broken: tuple[str, ...]  # one sentence per folder that is no task
    resumed: bool


def new_run_key(kind: str) -> str:
    """Return a key no other run has: what, when, and two random bytes."""
    return f"{kind}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}"


def open_workspace(settings: RunSettings, seed: str = "skillbench") -> Workspace:
    """Return the agent's workspace, copied from its seed the first time.

    Raises:
        InputError: `seed_workspace` is given, and the agent was made from something else.
    """
    folder = settings.home.workspace(settings.agent_id)
    chosen = settings.seed_workspace
    start = chosen or bundled(f"seed_workspaces/{seed}")
    return Workspace.create(folder, start, chosen=chosen is not None)


def choose_tasks(settings: RunSettings) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """Return the tasks a run is for, and what is wrong with those it is for but for that.

    Unless `use_skills` is on, skills that a task's own image would bring are left out of it.

    Raises:
        InputError: None is left, a filter names what no task has, or a task's own skills
            cannot be left out.
    """
    dataset = load_tasks(_folder(settings))
    chosen = select(
        dataset.tasks,
        categories=settings.category,
        difficulties=settings.difficulty,
        ids=settings.task_ids,
        limit=settings.limit or 0,
        broken=dataset.broken,
    )
    if not settings.use_skills:
        chosen = tuple(strip_skills(task, _variants(settings)) for task in chosen)
    left_out = broken_among(dataset.broken, settings.task_ids)
    return chosen, tuple(error.sentence for error in left_out)


def pair_tasks(settings: RunSettings, tasks: Sequence[Task]) -> tuple[TaskPair, ...]:
    """Return chosen tasks for the arm with skills and the arm without any.

    Raises:
        InputError: The arms' tasks differ in more than skills, or a task's own skills
            cannot be left out.
    """
    if not settings.use_skills:
        return tuple(TaskPair(task, task) for task in tasks)
    both = SkillBenchBenchmark(
        _folder(settings),
        settings.tasks_without_skills_dir,
        use_skills=True,
        holdout_ratio=0.0,
        task_ids=[glob.escape(task.task_id) for task in tasks],
        variants_dir=_variants(settings),
    )
    return tuple(both.get_pairs("all"))


def _folder(settings: RunSettings) -> Path:
    """Return the folder of tasks that `use_skills` asks for, fetched where they were sent."""
    return tasks_folder(_named_folder(settings))


def _named_folder(settings: RunSettings) -> Path:
    have, lack = settings.tasks_with_skills_dir, settings.tasks_without_skills_dir
    if settings.use_skills:
        if have is None and settings.tasks_dir is None and lack is not None:
            expected = "the folder of tasks with skills, as use_skills is on"
            raise InputError("tasks_with_skills_dir", "is not given", expected)
        return have or settings.tasks_dir or bundled("examples/tasks")
    return lack or settings.tasks_dir or have or bundled("examples/tasks")


def _variants(settings: RunSettings) -> Path:
    return settings.home.variants


def check_resumable(kind: str, settings: RunSettings, tasks: Sequence[Task]) -> None:
    """Make sure that the run key, where it is one of a run, is of this very run.

    Raises:
        InputError: It belongs to a run of other settings or of tasks that have changed.
    """
    kept = kept_plan(settings.home, settings.run_key) if settings.run_key else None
    if kept is not None:
        asked = _planned(kept.run_key, kind, settings, tasks, kept.base)
        _check_same(_brought_up(kept, settings), asked)


def _planned(
    key: str, kind: str, settings: RunSettings, tasks: Sequence[Task], base: Snapshot
) -> RunPlan:
    return RunPlan(
        run_key=key,
        kind=kind,
        settings=settings.model_dump(mode="json", exclude=set(FREE_TO_CHANGE)),
        tasks={task.task_id: task.digest for task in tasks},
        base=base,
    )


def plan_run(kind: str, settings: RunSettings, workspace: Workspace) -> Planned:
    """Fix what a run will do, or find what it was when its key exists already.

    Raises:
        InputError: The key belongs to a run of other settings or of tasks that have changed.
    """
    tasks, broken = choose_tasks(settings)
    key = settings.run_key or new_run_key(kind)
    plan = _planned(key, kind, settings, tasks, workspace.snapshot())
    path = settings.home.run(key).plan
    if settings.home.files.claim(path, plan.model_dump_json(indent=2)):
        return Planned(plan=plan, tasks=tasks, broken=broken, resumed=False)
    kept = _read(path)
    _check_same(_brought_up(kept, settings), plan)
    return Planned(plan=kept, tasks=tasks, broken=broken, resumed=True)


def kept_plan(home: Home, run_key: str) -> RunPlan | None:
    """Return what a run was to do; None where no run of that key has begun."""
    path = home.run(run_key).plan
    return _read(path) if home.files.fetch(path) else None


def as_planned(plan: RunPlan, settings: S) -> S:
    """Return settings that go on with a run: its own, but for those that are free to change."""
    return type(settings).model_validate(settings.model_dump() | plan.settings)


def _read(path: Path) -> RunPlan:
    return read_record(path, RunPlan, "plan of a run")


def _brought_up(kept: RunPlan, settings: RunSettings) -> RunPlan:
    """Return a plan with settings that came after it: the run had what is their default."""
    defaults = type(settings).model_construct().model_dump(mode="json", exclude=set(FREE_TO_CHANGE))
    return kept.model_copy(update={"settings": defaults | kept.settings})


def _check_same(kept: RunPlan, asked: RunPlan) -> None:
    where = f"--run-key {kept.run_key}"
    if kept.kind != asked.kind:
        raise InputError(where, f"belongs to a run of {kept.kind}", f"a key of a {asked.kind} run")
    names = kept.settings.keys() | asked.settings.keys()
    other = [name for name in sorted(names) if kept.settings.get(name) != asked.settings.get(name)]
    if other:
        shown = "; ".join(
            f"{name} was {json.dumps(kept.settings.get(name))}, "
            f"now {json.dumps(asked.settings.get(name))}"
            for name in other
        )
        raise InputError(where, f"belongs to a run with other settings: {shown}", "the same ones")
    changed = _changed(kept.tasks, asked.tasks)
    if changed:
        raise InputError(
            where, f"the tasks have changed since: {', '.join(changed)}", "the same task files"
        )


def _changed(kept: dict[str, str], asked: dict[str, str]) -> Sequence[str]:
    names: Collection[str] = kept.keys() | asked.keys()
    return [name for name in sorted(names) if kept.get(name) != asked.get(name)]
