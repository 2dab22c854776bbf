"""How often a model is asked: requests and tokens a minute, by buckets that fill at a steady rate.

A bucket holds a tenth of a minute's worth, and fills so slowly that no minute sees more than was
set. The tokens of a call are not known before it ends: it takes what it is expected to use, and
the difference is taken with the next one. A bucket is this process's own, unless whoever opens
the models has one that others take from too.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from pydantic import PositiveInt

from grindstone.base import Frozen

_WINDOW_S = 62.0
"""A minute, and how much later than it was taken a request may reach the service."""


class Rates(Frozen):
    """What a model may be asked in a minute, None for as much as one likes."""

    requests_per_minute: PositiveInt | None = None
    tokens_per_minute: PositiveInt | None = None


class BucketSize(NamedTuple):
    """How much a bucket holds, and how fast it fills."""

    holds: int
    per_s: float

    @classmethod
    def of(cls, per_minute: int) -> "BucketSize":
        """Return the size by which no minute sees more than so many."""
        holds = max(1, per_minute // 10)
        return cls(holds, max(per_minute - holds, per_minute / 2) / _WINDOW_S)


class Bucket(Protocol):
    """Something that is taken from, and fills again."""

    async def make(self) -> None:
        """Have it be there for all who share it; who takes from it makes it, too."""
        ...

    async def take(self, units: int) -> None:
        """Take units, once they are there; more than it holds are taken piece by piece."""
        ...

    async def empty(self) -> None:
        """Take whatever is there: somebody was told to slow down."""
        ...


class LocalBucket:
    """A bucket of one process and event loop."""

    def __init__(self, name: str, size: BucketSize) -> None:
        """Take the size; the name is for those that are shared."""
        del name
        self._size = size
        self._left, self._at = float(size.holds), time.monotonic()
        self._turn = asyncio.Lock()

    async def make(self) -> None:
        """Do nothing: nobody shares it."""

    async def take(self, units: int) -> None:
        """Take units, once they are there."""
        async with self._turn:
            while units > 0:
                piece = min(units, self._size.holds)
                self._fill()
                if self._left < piece:
                    await asyncio.sleep((piece - self._left) / self._size.per_s)
                    continue
                self._left -= piece
                units -= piece

    async def empty(self) -> None:
        """Take whatever is there."""
        self._fill()
        self._left = min(self._left, 0.0)

    def _fill(self) -> None:
        now = time.monotonic()
        filled = self._left + (now - self._at) * self._size.per_s
        self._left, self._at = min(float(self._size.holds), filled), now


Buckets = Callable[[str, BucketSize], Bucket]
"""Makes a bucket by its name; the same name is the same bucket for all who share it."""


class Pace:
    """When one model may be asked again."""

    def __init__(self, model_id: str, rates: Rates, buckets: Buckets) -> None:
        """Make the model's buckets."""

        def bucket(what: str, per_minute: int | None) -> Bucket | None:
            name = f"{model_id} {what} a minute"
            return None if per_minute is None else buckets(name, BucketSize.of(per_minute))

        self._requests = bucket("requests", rates.requests_per_minute)
        self._tokens = bucket("tokens", rates.tokens_per_minute)
        self._owed = 0  # tokens used beyond those taken; below zero: taken and not used
        self._held_until = 0.0

    async def make(self) -> None:
        """Have the buckets be there, before processes that share them begin side by side."""
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                await bucket.make()

    async def admit(self, tokens: int) -> None:
        """Wait until the model may be asked.

        Args:
            tokens: That the request is expected to use.
        """
        await self._held()
        if self._tokens is not None:
            due, self._owed = max(0, tokens + self._owed), min(0, tokens + self._owed)
            await self._tokens.take(due)
        if self._requests is not None:
            await self._requests.take(1)
        await self._held()

    async def _held(self) -> None:
        """Wait as long as the service wished; it may have wished for longer meanwhile."""
        wait_s = self._held_until - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            await self._held()

    def used(self, tokens: int, *, expected: int) -> None:
        """Note what a request used that was expected to use something else."""
        self._owed += tokens - expected

    async def hold(self, pause_s: float) -> None:
        """Let nothing more be asked for a while, as the service wished; others begin slowly.

        Args:
            pause_s: For this process. Those that share the buckets find them empty.
        """
        self._held_until = max(self._held_until, time.monotonic() + pause_s)
        for bucket in (self._requests, self._tokens):
            if bucket is not None:
                await bucket.empty()


class Paces:
    """The paces of a run's models."""

    def __init__(self, rates: Rates = Rates(), buckets: Buckets = LocalBucket) -> None:
        self._rates, self._buckets = rates, buckets
        self._paces: dict[str, Pace] = {}

    def of(self, model_id: str) -> Pace | None:
        """Return a model's pace, None where none is set; the same id gives the same object."""
        if self._rates == Rates():
            return None
        if model_id not in self._paces:
            self._paces[model_id] = Pace(model_id, self._rates, self._buckets)
        return self._paces[model_id]
