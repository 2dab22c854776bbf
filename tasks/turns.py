"""A run that waits for its turn with an agent, and says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Running

from grindstone.home import Home
from grindstone.runs.lock import driven_elsewhere
from grindstone.runs.progress import Note, Watcher
from grindstone.runs.turns import AgentTurn
from grindstone.sync import ender

POLL_S = 1.0
WAITING = "Waiting"
"""The state's name; its type is RUNNING, so it can be cancelled."""

_HELD: ContextVar[frozenset[Path]] = ContextVar("grindstone_turns", default=frozenset())


@contextlib.asynccontextmanager
async def turn_with(home: Home, agent_id: str, run_key: str, watch: Watcher) -> AsyncIterator[None]:
    """Be the one run that changes an agent; wait while another does.

    A flow within one that has the turn has it too. Who loses it, since it gave no sign of life and
    another machine has taken it, is cancelled.

    Args:
        home: The agent's.
        agent_id: Whose turn.
        run_key: The run that asks.
        watch: Told who is waited for.

    Raises:
        InputError: Another process has the turn for this very run.
        InfrastructureError: The storage of a remote home did not answer.
    """
    turn = AgentTurn(home, agent_id, run_key)
    if turn.place in _HELD.get():
        yield
        return
    told, seen = "", 0
    lost = ender(f"the run was called off, for its turn with {agent_id} is lost")
    while not await asyncio.to_thread(turn.take, lost=lost):
        holder = await asyncio.to_thread(turn.holder)
        seen = seen + 1 if holder is not None and holder.run_key == run_key else 0
        if seen > 1:  # not the last holder's word: who has just taken it writes its own at once
            raise driven_elsewhere(run_key)
        if seen:
            await asyncio.sleep(POLL_S)
            continue
        who = f"Waits for {holder or 'another run'}, which changes the agent {agent_id}"
        if who != told:
            told = who
            watch(Note(who))
            await _show(WAITING, who)
        await asyncio.sleep(POLL_S)
    with turn:
        if told:
            watch(Note(f"{agent_id} is free: the run begins"))
            await _show("Running", "")
        token = _HELD.set(_HELD.get() | {turn.place})
        try:
            yield
        finally:
            _HELD.reset(token)


async def _show(name: str, message: str) -> None:
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        state: State[None] = Running(name=name, message=message or None)
        async with get_client() as client:
            await client.set_flow_run_state(context.flow_run.id, state, force=True)
