"""Which process drives a flow run, and an end for the runs whose process is gone.

A flow run whose process was killed stays Running in Prefect for ever, and so do its subflows
and task runs: nobody is left to say otherwise. The server of a home looks for them on its own
machine. A run of the command line carries a label with its process. A run that the home's
worker started is driven by a process that has its id in the environment, which holds for a
run that is tried again, too. One that was killed before its run began left nothing but time
to tell it by. Runs of workers on other machines are left to `zombies.py`. The
sandboxes that dead processes left on this machine are ended as well.
"""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterId,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from grindstone.flows.serving.server import Running, worker_name
from grindstone.flows.worker import ENGINE
from grindstone.sandbox.reaping import reap_dead
from grindstone.tasks.server_pages import each_of

LOOK_S = 8.0
"""Pause between two looks; a run is closed when two in a row find its process gone."""
SWEEP_S = float(os.environ.get("GRINDSTONE_SWEEP_S", "60"))
"""Pause between two looks for sandboxes whose process is gone."""
SETTLED_S = 30.0
"""How long ago a run must have ended before its task runs count as left: they are recorded late."""
BEGINS_S = float(os.environ.get("GRINDSTONE_BEGINS_S", "600"))
"""How long a run that no worker was given may be Pending; one that begins is for an instant."""
PROCESS = "grindstone.process"
"""Label of a flow run: host, process id and start time of what drives it."""
ENGINES = (ENGINE.encode(), b"prefect.")
"""Programs of a run, after `python -m`: of our own workers, and of any other."""
LATELY_S = 600.0
"""How long ago a run may have been cancelled for its steps to be looked at."""
TOLD_TO_END = ("Execution was aborted by ", "Execution was cancelled by ")
"""How Prefect's message begins for a step whose process or event loop was told to end."""

Suspects = frozenset[UUID]
"""Runs whose process a look did not find."""


async def note_process(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Label a flow run with this process; Prefect calls it as the run begins."""
    del flow, state  # hooks are given them
    process = Running.of(os.getpid())
    mark = f"{socket.gethostname()}:{process.pid}:{process.started}"
    async with get_client() as client:
        await client.update_flow_run_labels(flow_run.id, {PROCESS: mark})


def watch(api_url: str, login: str) -> None:
    """Look after the runs of a server and the machine's sandboxes, in threads of their own."""

    def look_on() -> None:
        suspects: Suspects = frozenset()
        with SyncPrefectClient(api_url, auth_string=login) as client:
            while True:
                time.sleep(LOOK_S)
                try:
                    suspects = close_dead_runs(client, suspects)
                except (HTTPError, PrefectException):
                    continue  # the server begins, ends or is busy: the next look will do

    def sweep_on() -> None:
        while True:
            time.sleep(SWEEP_S)
            with contextlib.suppress(Exception):  # an engine begins, ends or is busy
                asyncio.run(reap_dead())

    threading.Thread(target=look_on, name="liveness", daemon=True).start()
    threading.Thread(target=sweep_on, name="reaper", daemon=True).start()


def close_dead_runs(client: SyncPrefectClient, suspects: Suspects) -> Suspects:
    """Close the runs that are suspect for the second time, with all that belongs to them.

    Args:
        client: Of the server.
        suspects: What the look before this one returned.

    Returns:
        The runs whose process was not found and which were left for the next look.
    """
    active = _active(client)
    driven = _driven()
    gone = {run.id: run for run in active if _gone(run, driven)}
    again: set[UUID] = set()
    for run in gone.values():
        if run.id in suspects:
            _close(client, run, Crashed(message="Its process is gone."))
        else:
            again.add(run.id)
    again |= _close_orphans(client, [run for run in active if run.id not in gone], suspects)
    _close_task_runs(client)
    _cancel_task_runs(client)
    return frozenset(again)


def _active(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the flow runs that somebody should be driving."""
    kinds = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PAUSED, StateType.PENDING])
    wanted = FlowRunFilter(state=FlowRunFilterState(type=kinds))
    found = each_of(client.read_flow_runs, flow_run_filter=wanted)
    return [run for run in found if run.state_name != "Suspended" and not _starting(run)]


def _starting(run: FlowRun) -> bool:
    """Return whether it is for a worker to begin a run."""
    return run.deployment_id is not None and run.state_type is StateType.PENDING


def _driven() -> set[str]:
    """Return the ids of the flow runs that processes of this machine were started for."""
    return set(_ids_in_environments())


def _ids_in_environments() -> Iterator[str]:
    mark = b"PREFECT__FLOW_RUN_ID="
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # What a run started has its environment, and may outlive it.
            words = (process / "cmdline").read_bytes().split(b"\0")
            if not any(word.startswith(ENGINES) for word in words):
                continue
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        for variable in variables:
            if variable.startswith(mark):
                yield variable.removeprefix(mark).decode(errors="replace")


def _gone(run: FlowRun, driven: set[str]) -> bool:
    """Return whether a run's process was on this machine and is no more, or never began it."""
    if run.state_type is StateType.PENDING:
        return run.parent_task_run_id is None and _age_s(run) > BEGINS_S
    mark = run.labels.get(PROCESS)
    if isinstance(mark, str) and mark.count(":") >= 2:
        host, pid, started = mark.rsplit(":", 2)
        return host == socket.gethostname() and not Running(pid=int(pid), started=started).alive
    if run.labels.get("prefect.worker.name") == worker_name():
        return str(run.id) not in driven
    return False


def _age_s(run: FlowRun) -> float:
    """Return for how many seconds a run has been in its state."""
    return time.time() - run.state.timestamp.timestamp() if run.state is not None else 0.0


def _close_orphans(client: SyncPrefectClient, runs: list[FlowRun], suspects: Suspects) -> set[UUID]:
    """Close subflows whose parent has ended; return those found so for the first time."""
    called_by = {run.id: run.parent_task_run_id for run in runs if run.deployment_id is None}
    steps = [step for step in called_by.values() if step is not None]
    if not steps:
        return set()
    chosen = TaskRunFilter(id=TaskRunFilterId(any_=list(steps)))
    called = each_of(client.read_task_runs, most=len(steps), task_run_filter=chosen)
    parent_of = {step.id: step.flow_run_id for step in called}
    parents = _runs(client, parent_of.values())
    again: set[UUID] = set()
    for run in runs:
        step = called_by.get(run.id)
        parent_id = parent_of.get(step) if step is not None else None
        parent = parents.get(parent_id) if parent_id is not None else None
        if parent is None or parent.state is None or not parent.state.is_final():
            continue
        if run.id not in suspects:
            again.add(run.id)
            continue
        message = f"{parent.name}, which it was part of, has ended."
        cancelled = parent.state.is_cancelled()
        _close(client, run, (Cancelled if cancelled else Crashed)(message=message))
    return again


def _runs(client: SyncPrefectClient, ids: Iterable[UUID | None]) -> dict[UUID, FlowRun]:
    """Return the flow runs of some ids, by their id."""
    wanted = list({each for each in ids if each is not None})
    named = FlowRunFilter(id=FlowRunFilterId(any_=wanted))
    found = each_of(client.read_flow_runs, most=len(wanted), flow_run_filter=named)
    return {run.id: run for run in found}


def _close(client: SyncPrefectClient, run: FlowRun, state: State[Any]) -> None:
    client.set_flow_run_state(run.id, state, force=True)


def _close_task_runs(client: SyncPrefectClient) -> None:
    """Close the task runs that runs which were killed or cancelled left Running."""
    ended = [StateType.CRASHED, StateType.CANCELLED]
    running = TaskRunFilterStateType(any_=[StateType.RUNNING])
    left = list(
        each_of(
            client.read_task_runs,
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=ended))
            ),
            task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=running)),
        )
    )
    if not left:
        return
    settled = {  # and whether it was cancelled
        run.id: run.state.is_cancelled()
        for run in _runs(client, (step.flow_run_id for step in left)).values()
        if run.state is not None and _age_s(run) > SETTLED_S
    }
    for step in left:
        if step.flow_run_id in settled:
            state = Cancelled if settled[step.flow_run_id] else Crashed
            gone: State[Any] = state(message="The run it was part of has ended.")
            client.set_task_run_state(step.id, gone, force=True)


def _cancel_task_runs(client: SyncPrefectClient) -> None:
    """Say of what ended with a cancelled run that it was cancelled.

    Prefect sets the steps of a process that was told to end Crashed, which reads as a fault.
    """
    lately = datetime.now(UTC) - timedelta(seconds=LATELY_S)
    cancelled = FlowRunFilterStateType(any_=[StateType.CANCELLED])
    crashed = TaskRunFilterStateType(any_=[StateType.CRASHED])
    found = each_of(
        client.read_task_runs,
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=cancelled), end_time=FlowRunFilterEndTime(after_=lately)
        ),
        task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=crashed)),
    )
    for step in list(found):  # those that are cancelled leave the pages
        why = (step.state and step.state.message) or ""
        if why.startswith(TOLD_TO_END):
            called_off: State[Any] = Cancelled(message="The run it was part of was cancelled.")
            client.set_task_run_state(step.id, called_off, force=True)
