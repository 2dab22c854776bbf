"""Attempts that ended without a score, kept at hand as long as others of their set are made."""

import asyncio
from collections.abc import Callable

from grindstone.runs.steered import Steering


class Parked:
    """Where what failed waits for an order to be done again. For one event loop."""

    def __init__(self, steering: Steering) -> None:
        """Take whose orders are waited for; nothing is worked on yet."""
        self._steering = steering
        self._working = 0
        self._over = asyncio.Event()

    def begin(self, more: int) -> None:
        """Note that more is worked on; each calls `done` or `again` in its end."""
        if self._over.is_set():  # all before had ended, and waits for nothing any more
            self._over = asyncio.Event()
        self._working += more

    def done(self) -> None:
        """Note that one has ended for good."""
        self._working -= 1
        if self._working == 0:
            self._over.set()

    async def again(self, ordered: Callable[[], bool]) -> bool:
        """Wait; return whether it was ordered to do it again, before all others had ended."""
        if ordered():
            return True
        self.done()
        ended = self._over
        over = asyncio.ensure_future(ended.wait())
        try:
            while not ended.is_set():
                change = asyncio.ensure_future(self._steering.changed())
                try:
                    await asyncio.wait({over, change}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if ordered() and not ended.is_set():
                    self._working += 1
                    return True
        finally:
            over.cancel()
        return False
