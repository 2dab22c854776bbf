"""Closing sandboxes while those who used them go on."""

import asyncio
from typing import Protocol

from grindstone.errors import InfrastructureError


class Closable(Protocol):
    """What can be closed."""

    async def close(self) -> None:
        """End it."""
        ...


class Closings:
    """The sandboxes of one provider that are being closed; belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, sandbox: Closable) -> None:
        """Close a sandbox without waiting for it."""
        self._under_way.add(asyncio.create_task(sandbox.close()))

    async def wait(self) -> None:
        """Wait for all of them.

        What infrastructure keeps from being removed is left to `Provider.reap`.
        """
        ended = await asyncio.gather(*self._under_way, return_exceptions=True)
        self._under_way.clear()
        for result in ended:
            if isinstance(result, BaseException) and not isinstance(result, InfrastructureError):
                raise result
