"""A sandbox that takes more of the disk than it may has its processes ended.

Neither engine limits a sandbox's disk everywhere (Docker's overlay2 only on a special file
system, an overlay never), so it is measured from outside. One file is limited by the kernel, at
once; many files by this, within a measurement's pause. Files stay: what is above the limit is
ended again until something was removed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from grindstone.errors import InfrastructureError
from grindstone.sandbox.protocol import Limits

PAUSE_S = 2.0
"""Between two measurements; longer where measuring takes long."""

SHARE = 0.05
"""Of one processor that measuring may take."""


class Taken(NamedTuple):
    """What a sandbox takes of the disk beyond its image."""

    size: int  # bytes
    entries: int | None  # files and folders; None: the engine does not tell


class DiskWatch:
    """Watches one sandbox; belongs to one event loop."""

    def __init__(
        self,
        limits: Limits,
        measure: Callable[[], Awaitable[Taken]],
        end: Callable[[], Awaitable[object]],
    ) -> None:
        self._limits = limits
        self._measure = measure
        self._end = end
        self._watching: asyncio.Task[None] | None = None
        self._exceeded = ""
        self._ending = asyncio.Lock()

    def begin(self) -> None:
        """Watch until `stop`."""
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Watch no longer; safe to call twice."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def told(self) -> str:
        """Return what was found too much, once, when all processes are ended; empty: nothing."""
        async with self._ending:
            exceeded, self._exceeded = self._exceeded, ""
        return exceeded

    async def _watch(self) -> None:
        pause = PAUSE_S
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                taken = await self._measure()
                if problem := self._problem(taken):
                    async with self._ending:
                        self._exceeded = problem
                        await self._end()
            except InfrastructureError:
                continue  # a sandbox that is gone tells whoever uses it
            pause = max(PAUSE_S, (time.monotonic() - began) / SHARE)

    def _problem(self, taken: Taken) -> str:
        if taken.size > self._limits.disk_bytes:
            return f"more than {self._limits.disk_bytes >> 20} MB of disk"
        if taken.entries is not None and taken.entries > self._limits.inodes:
            return f"more than {self._limits.inodes} files and folders"
        return ""
