"""A bucket that all who use one Prefect server take from: a global concurrency limit with decay.

What the server does is not quite a bucket, and always to the safe side: a slot counts as filled
again by whole slots only, so a unit is many slots; and a refusal begins the filling anew, so where
many wait they get less than the rate that was set. A request to the server takes a tenth of a
second. So where a bucket fills fast, a second's worth is taken at once, which lapses unless used.
"""

import asyncio
import contextlib
import math
import re
import time
from collections.abc import Iterator

from httpx import HTTPStatusError
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError, rate_limit
from prefect.exceptions import ObjectAlreadyExists
from prefect.types.names import BANNED_CHARACTERS

from grindstone.errors import Cause, InfrastructureError
from grindstone.llm.pace import BucketSize
from grindstone.tasks.server_loss import is_server_loss

_SLOTS = 100
"""At least as many are what a bucket holds."""
_LAPSE_S = 1.0


class ServerBucket:
    """A bucket of the Prefect server that the settings of the moment name."""

    def __init__(self, name: str, size: BucketSize) -> None:
        """Take the limit's name and the size; the server is asked when something is taken."""
        banned = re.escape("".join(BANNED_CHARACTERS))
        self.limit = re.sub(f"[{banned}]+", "-", f"grindstone: {name}")
        self._size = size
        self._slots = math.ceil(_SLOTS / size.holds)
        self._turn = asyncio.Lock()
        self._is_there = False
        self._left, self._at = 0, 0.0

    async def take(self, units: int) -> None:
        """Take units, once they are there.

        Raises:
            InfrastructureError: The server cannot be used.
        """
        async with self._turn:
            await self.make()
            if time.monotonic() - self._at > _LAPSE_S:
                self._left = 0
            while self._left < units:
                piece = max(units - self._left, int(self._size.per_s * _LAPSE_S))
                piece = min(piece, self._size.holds)
                with _told():
                    await rate_limit(self.limit, occupy=piece * self._slots, strict=True)
                self._left, self._at = self._left + piece, time.monotonic()
            self._left -= units

    async def empty(self) -> None:
        """Take whatever is there, for all who share it.

        Raises:
            InfrastructureError: The server cannot be used.
        """
        self._left = 0
        full = GlobalConcurrencyLimitUpdate(active_slots=self._size.holds * self._slots)
        await self.make()
        with _told():
            async with get_client() as client:
                await client.update_global_concurrency_limit(self.limit, full)

    async def make(self) -> None:
        """Have the limit on the server as it is set here; the later word stands.

        Raises:
            InfrastructureError: The server cannot be used.
        """
        if self._is_there:
            return
        size = (self._size.holds * self._slots, self._size.per_s * self._slots)
        with _told():
            async with get_client() as client:
                try:
                    await client.upsert_global_concurrency_limit_by_name(self.limit, *size)
                except ObjectAlreadyExists:  # another process was faster
                    await client.upsert_global_concurrency_limit_by_name(self.limit, *size)
        self._is_there = True


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Tell that the server cannot be used as what it means for the run."""
    try:
        yield
    except Exception as error:
        refused = isinstance(error, (ConcurrencySlotAcquisitionError, HTTPStatusError))
        if refused or is_server_loss(error):
            told = f"how often a model is asked cannot be counted: {error}"
            raise InfrastructureError(Cause.PREFECT_SERVER, told) from error
        raise
