"""Signs of life of a command's run, for a server that does not see its process.

A home's own server looks for the process. Any other knows of a run what Prefect's runs send: an
event now and then, whose absence an automation answers (`serving/zombies.py`). Prefect sends them
from a thread for each flow run, which is joined in steps of a second at every flow's end; here it
is one task of the event loop, for the whole run.
"""

import asyncio
import contextlib
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State

from grindstone.tasks.events import tell_alive


class Heart:
    """Beats for the flow run whose hook `begin` is, until `end`."""

    def __init__(self, every_s: float | None) -> None:
        """Take the pause between two beats; None: there are none."""
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def begin(self, flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        """Begin; Prefect calls it as the run does."""
        del flow, state  # hooks are given them
        if self._every_s is not None and self._task is None:
            self._task = asyncio.create_task(self._beat(flow_run, self._every_s))

    def end(self) -> None:
        """Beat no more."""
        if self._task is not None:
            self._task.cancel()

    async def _beat(self, flow_run: FlowRun, every_s: float) -> None:
        while True:
            with contextlib.suppress(Exception):  # the server is away for a while
                tell_alive(flow_run.id)
            await asyncio.sleep(every_s)
