"""Reading a run's orders while it goes on, and showing in Prefect that it is paused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from prefect import Flow, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Running

from grindstone.errors import CalledOffError
from grindstone.runs.incidents import spared
from grindstone.runs.steered import Steering

LOOK_S = 1.0
"""Pause between two looks at the orders; before a model call they are read besides."""
PAUSED = "Paused"
"""Name of the state of a flow run whose run is paused; Prefect's type stays Running."""


@contextlib.asynccontextmanager
async def reading_orders(steering: Steering) -> AsyncIterator[None]:
    """Read the orders of a run again and again while what is within is done."""
    context = FlowRunContext.get()
    own = context.flow_run.id if context is not None and context.flow_run is not None else None

    async def read_on() -> None:
        shown = False
        while True:
            if steering.now.paused != shown:
                shown = steering.now.paused
                if own is not None:
                    state: State[Any] = Running()
                    if shown:
                        state.name = PAUSED
                    with spared("that the run is paused or goes on, as Prefect shows it"):
                        await _set_state(own, state)
            await asyncio.sleep(LOOK_S)
            await steering.look()

    reader = asyncio.create_task(read_on(), name="orders")
    try:
        yield
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader


@contextlib.asynccontextmanager
async def ending_on_order(steering: Steering) -> AsyncIterator[None]:
    """Call off what is within when an order says so.

    Raises:
        CalledOffError: One did.
    """
    work = asyncio.current_task()
    assert work is not None
    steering.on_cancel = work.cancel
    try:
        if steering.cancelled:  # by an order that came while the run was opened
            raise _called_off(steering)
        yield
    except asyncio.CancelledError:
        if not steering.cancelled:
            raise
        work.uncancel()
        raise _called_off(steering) from None
    finally:
        steering.on_cancel = lambda: None


def _called_off(steering: Steering) -> CalledOffError:
    return CalledOffError(f"it was called off by order {steering.now.cancelled}")


def show_called_off() -> None:
    """Have the present flow run end as cancelled where it is called off, and not as failed."""
    context = FlowRunContext.get()
    flow = context.flow if context is not None else None
    if flow is not None and _as_cancelled not in flow.on_failure_hooks:
        flow.on_failure(_as_cancelled)


async def _as_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    del flow  # hooks are given it
    error = await state.aresult(raise_on_failure=False)
    if isinstance(error, CalledOffError):
        await _set_state(flow_run.id, Cancelled(message=str(error)))


async def _set_state(flow_run_id: UUID, state: State[Any]) -> None:
    async with get_client() as client:
        await client.set_flow_run_state(flow_run_id, state, force=True)
