"""When a step's result may stand for the step, and when a step is tried again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from grindstone.errors import InfrastructureError, RetryBy

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


def results_of(home: Path, run_key: str) -> Path:
    """Return where a run's step results are kept: with the run, so they go when it goes."""
    return (home / "runs" / run_key / "results").absolute()


def drop_torn_results(home: Path, run_key: str) -> None:
    """Remove results that a kill left half written: Prefect would stumble over them.

    Only for a run that no process is working on.
    """
    for path in results_of(home, run_key).glob("*"):
        try:
            whole = path.is_dir() or "result" in json.loads(path.read_bytes())
        except ValueError:
            whole = False
        if not whole:
            path.unlink()
