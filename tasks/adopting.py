"""What a dead process of the same run left in Prefect, and the lock that keeps out a live one."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from prefect import get_client, tags
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

from grindstone.errors import InputError

_UNFINISHED = [StateType.RUNNING, StateType.PENDING]


@contextlib.contextmanager
def sole_process(folder: Path, run_key: str) -> Iterator[None]:
    """Be the one process that drives a run; the lock goes when the process does.

    Raises:
        InputError: Another process drives it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = "is being run by another process"
            raise InputError(f"--run-key {run_key}", problem, "a run that has ended") from error
        yield
    finally:
        os.close(handle)


def run_tag(run_key: str) -> str:
    """Return the tag that all flow runs of a run carry in Prefect."""
    return f"run:{run_key}"


@contextlib.asynccontextmanager
async def tagged(run_key: str) -> AsyncIterator[None]:
    """Tag what runs within, and close what a killed process of this run left open in Prefect.

    A flow run whose process was killed stays Running for ever: nobody is left to say
    otherwise. Those that a worker started are the worker's business.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    tag = run_tag(run_key)
    own = context.flow_run
    async with get_client() as client:
        left = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                tags=FlowRunFilterTags(all_=[tag]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
                deployment_id=FlowRunFilterDeploymentId(is_null_=True),
            )
        )
        for flow_run in left:
            if flow_run.id != own.id:
                gone: State[None] = Crashed(
                    message=f"The process ended; the run went on as {own.name}."
                )
                await client.set_flow_run_state(flow_run.id, gone, force=True)
        await client.update_flow_run(own.id, tags=sorted({*own.tags, tag}))
    with tags(tag):
        yield
