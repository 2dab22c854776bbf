"""A rehearsal server for all tests of a process."""

import asyncio
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def rehearsal_url() -> Iterator[str]:
    """A rehearsal server that outlives every run of the tests."""
    from grindstone.rehearsal import serve

    started, stop = threading.Event(), asyncio.Event()
    found: list[tuple[str, asyncio.AbstractEventLoop]] = []

    async def run() -> None:
        async with serve() as url:
            found.append((url, asyncio.get_running_loop()))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(30)
    url, loop = found[0]
    yield url
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
