"""Attempts that ended without a score, kept at hand as long as others of their set are made."""

import asyncio
from collections.abc import Callable

from grindstone.runs.steered import Steering


class Parked:
    """Where what failed waits for an order to be done again. For one event loop."""

    def __init__(self, steering: Steering, working: int) -> None:
        """Count what is being worked on.

        Args:
            steering: Whose orders are waited for.
            working: How many there are; each calls `done` or `again` in its end.
        """
        self._steering = steering
        self._working = working
        self._over = asyncio.Event()

    def done(self) -> None:
        """Note that one has ended for good."""
        self._working -= 1
        if self._working == 0:
            self._over.set()

    async def again(self, ordered: Callable[[], bool]) -> bool:
        """Wait; return whether it was ordered to do it again, before all others had ended."""
        self.done()
        over = asyncio.ensure_future(self._over.wait())
        try:
            while not self._over.is_set():
                change = asyncio.ensure_future(self._steering.changed())
                try:
                    await asyncio.wait({over, change}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if ordered() and not self._over.is_set():
                    self._working += 1
                    return True
        finally:
            over.cancel()
        return False
