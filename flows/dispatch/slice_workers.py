"""Whether the worker lives that took a slice and has not begun it.

A slice gives signs of life itself as soon as it has begun. Before, its worker's heartbeats, which
the Prefect server notes, tell whether anybody is about to begin it. A worker that was started anew
beats under its old name and knows nothing of what that had taken: the server has its word that it
began. No machine's clock is compared with another's: a worker is silent since who waits saw its
last heartbeat change, and what came first is told by the server's own clock.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventResourceFilter,
)
from prefect.events.schemas.events import ResourceSpecification

from grindstone.tasks.server_pages import aeach_of
from grindstone.tasks.versions import WORKER

MISSED = 2
"""Heartbeats that may fail to come."""
LATE_S = 5.0
"""How long a worker's word that it began may take to the server, which it does not wait for."""
BEGAN = "prefect.worker.started"
"""Event of a worker's process that begins."""


class _Heard(NamedTuple):
    heartbeat: datetime | None
    at: float  # when it was seen, on the clock of who looks
    interval_s: float


@dataclass
class SliceWorkers:
    """What was heard of the workers of a pool."""

    client: PrefectClient
    pool: str | None
    heard: dict[str, _Heard] = field(default_factory=dict)

    async def look(self) -> None:
        """Ask the server for their last heartbeats."""
        if self.pool is None:
            return
        now = time.monotonic()
        async for worker in aeach_of(partial(self.client.read_workers_for_work_pool, self.pool)):
            before = self.heard.get(worker.name)
            if before is None or before.heartbeat != worker.last_heartbeat_time:
                interval_s = worker.heartbeat_interval_seconds or 0
                self.heard[worker.name] = _Heard(worker.last_heartbeat_time, now, interval_s)

    async def lost(self, run: FlowRun, silent_s: float, lost_s: float) -> str | None:
        """Return why nobody is about to begin a slice that was taken; None where somebody may be.

        Args:
            run: The slice.
            silent_s: How long ago it was taken.
            lost_s: How long a worker may be silent, unless its heartbeats are further apart.
        """
        if silent_s <= lost_s:
            return None
        name = run.labels.get(WORKER)
        heard = self.heard.get(str(name))
        if name is not None and heard is None:
            return None
        # A worker says its name at once.
        if heard is None or time.monotonic() - heard.at > max(lost_s, MISSED * heard.interval_s):
            return "Its worker gave no sign of life before it began."
        if await self._began_anew(str(name), run):
            return "It had not begun, and another process goes by its worker's name."
        return None

    async def _began_anew(self, name: str, run: FlowRun) -> bool:
        """Return whether a worker's process began after a slice was taken by one of its name."""
        if run.state is None:
            return False
        ahead = datetime.now(UTC) + timedelta(days=2)  # workers' clocks may be
        wanted = EventFilter(
            event=EventNameFilter(name=[BEGAN]),
            resource=EventResourceFilter(
                labels=ResourceSpecification({"prefect.resource.name": name})
            ),
            occurred=EventOccurredFilter(until=ahead),
        )
        found = await self.client.read_events(wanted, limit=50)
        taken = run.state.timestamp + timedelta(seconds=LATE_S)
        return any(event.received > taken for event in found.events)
