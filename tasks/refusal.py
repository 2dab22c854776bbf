"""A run that a worker was given with unusable input: it fails with the sentence that says why.

Prefect's own way for an error is a page of traceback in the run's log, in its state and in the
worker's log. A caller in this process, the command line above all, gets the error itself.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.states import Failed

from grindstone.errors import InputError
from grindstone.tasks.flow_runs import given_to_a_worker

P = ParamSpec("P")
T = TypeVar("T")


def told_plainly(flow: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have a flow's run on a worker fail with the sentences of an `InputError` alone."""

    @functools.wraps(flow)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await flow(*args, **kwargs)
        except InputError as error:
            if not given_to_a_worker():
                raise
            refused: Any = Failed(name="Refused", message=str(error))
            get_run_logger().error(str(error))
            return refused  # type: ignore[no-any-return]  # a state, which Prefect takes over

    return run
