"""Places for what runs at once, as many as there are to be at the moment."""

import asyncio
from collections import deque
from collections.abc import Callable


class Slots:
    """Places, each taken with `async with`; their number may change meanwhile.

    Who holds a place keeps it when there are to be fewer. For one event loop.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        """Make places.

        Args:
            most: How many there are; asked whenever one is wanted, and on `review`.
        """
        self._most = most
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        """Wait for a place, in turn, and take it."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self.review()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given while being called off
                self._give_back()
            else:
                self._waiting.remove(place)
            raise

    async def __aexit__(self, *_: object) -> None:
        """Give the place back."""
        self._give_back()

    def review(self) -> None:
        """Give away the places there are now."""
        while self._waiting and self._taken < self._most():
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def _give_back(self) -> None:
        self._taken -= 1
        self.review()
