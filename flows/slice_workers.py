"""Whether the worker lives that took a slice and has not begun it.

A slice gives signs of life itself as soon as it has begun. Before, its worker's heartbeats, which
the Prefect server notes, tell whether anybody is about to begin it. No clock is compared: a worker
is silent since who waits saw its last heartbeat change.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

WORKER = "prefect.worker.name"
"""Label that a worker gives a run as it takes it."""
MISSED = 2
"""Heartbeats that may fail to come."""


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
        for worker in await self.client.read_workers_for_work_pool(self.pool):
            before = self.heard.get(worker.name)
            if before is None or before.heartbeat != worker.last_heartbeat_time:
                interval_s = worker.heartbeat_interval_seconds or 0
                self.heard[worker.name] = _Heard(worker.last_heartbeat_time, now, interval_s)

    def lost(self, run: FlowRun, silent_s: float, lost_s: float) -> bool:
        """Return whether nobody is about to begin a slice that was taken.

        Args:
            run: The slice.
            silent_s: How long ago it was taken.
            lost_s: How long a worker may be silent, unless its heartbeats are further apart.
        """
        if silent_s <= lost_s:
            return False
        name = run.labels.get(WORKER)
        if name is None:  # a worker says its name at once
            return True
        heard = self.heard.get(str(name))
        if heard is None:
            return False
        return time.monotonic() - heard.at > max(lost_s, MISSED * heard.interval_s)
