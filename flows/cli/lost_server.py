"""A Prefect server that goes away under a run: no waiting for it in every layer.

Prefect's client tries each request for about a minute. When a run fails for want of a server,
each of its layers makes one more request to say so, and it took four minutes to end.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from prefect.settings import get_current_settings

LOOK_S = 2.0
GONE_S = 15.0
"""How long nobody may listen at the server's address: a restart takes less."""


@contextlib.asynccontextmanager
async def noticing(api_url: str) -> AsyncIterator[None]:
    """Within, requests to a server that is gone are not made again."""
    watch = asyncio.create_task(_watch(api_url))
    try:
        yield
    finally:
        watch.cancel()


async def _watch(api_url: str) -> None:
    last = time.monotonic()
    while time.monotonic() - last < GONE_S:
        await asyncio.sleep(LOOK_S)
        if await asyncio.to_thread(_listens, api_url):
            last = time.monotonic()
    # The settings object is what requests that are being made again look at, whatever
    # context they run in.
    get_current_settings().client.max_retries = 0


def _listens(api_url: str) -> bool:
    """Return whether anybody accepts connections there; a busy server does."""
    place = urlsplit(api_url)
    port = place.port or (443 if place.scheme == "https" else 80)
    try:
        socket.create_connection((place.hostname or "", port), timeout=GONE_S).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True
