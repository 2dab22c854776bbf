"""When a step's result may stand for the step, and when a step is tried again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from grindstone.base import Frozen
from grindstone.errors import InfrastructureError, RetryBy
from grindstone.home import Home
from grindstone.sandbox.owner import run_labels
from grindstone.tasks.remote_results import RemoteResults


class StepSpec(Frozen):
    """What every step of a run is told, small enough for a cache key and a form."""

    home: Path
    run_key: str
    model_id: str
    region: str | None = None
    batch: int = 0
    cycle: int = 0

    @property
    def labels(self) -> dict[str, str]:
        """What the step's sandboxes carry, so that they are found when the run dies."""
        return run_labels(self.home, self.run_key)


P = ParamSpec("P")
R = TypeVar("R")

MOST_TRIES = 3
"""The largest number of tries any cause allows the task layer (`grindstone.errors`)."""

RETRY_DELAYS_S = [2.0, 10.0]


def key_of(parameter: str) -> Callable[[TaskRunContext, dict[str, Any]], str | None]:
    """Return a cache key function that reads `.cache_key` of one parameter.

    Content decides, never the flow run: a new run of the same `run_key` finds the result.
    """

    def key(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
        return f"{context.task.name}-{parameters[parameter].cache_key}"

    return key


async def infrastructure_only(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Try again for infrastructure whose policy gives the task layer another try.

    Scores, refusals, bad input and spent budgets are answers; other layers' errors have been
    retried where they arose.
    """
    try:
        await state.aresult()
    except InfrastructureError as error:
        return error.policy.retry_by is RetryBy.TASK and run.run_count < error.policy.tries
    except Exception:  # noqa: BLE001 - whatever else a step raises is not to be repeated
        return False
    return False


def step(name: str, run_name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Return the decorator of a step of a run: done once, its result kept with the run.

    Args:
        name: The task's name, part of the cache key beside the `cache_key` of its `spec`.
        run_name: The template of its runs' names.
    """
    return task(
        name=name,
        task_run_name=run_name,
        cache_key_fn=key_of("spec"),
        persist_result=True,
        result_serializer="json",
        cache_result_in_memory=False,
        retries=MOST_TRIES - 1,
        retry_delay_seconds=RETRY_DELAYS_S,
        retry_condition_fn=infrastructure_only,
    )


def kept(what: Task[P, R], home: Path, run_key: str) -> Task[P, R]:
    """Return a step whose result is kept with its run."""
    own = Home.at(home)
    folder = own.run(run_key).results
    made = what.with_options(result_storage=folder)
    if own.mirror is not None:  # set, not given: what is given must be saved in the server
        made.result_storage = RemoteResults(basepath=str(folder))
    return made


def drop_torn_results(home: Home, run_key: str) -> None:
    """Remove results that a kill left half written: Prefect would stumble over them.

    Only for a run that no process is working on.
    """
    for path in home.run(run_key).results.glob("*"):
        try:
            whole = path.is_dir() or "result" in json.loads(path.read_bytes())
        except ValueError:
            whole = False
        if not whole:
            path.unlink()
