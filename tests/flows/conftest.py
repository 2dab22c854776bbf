"""Runs of the command line against one rehearsal server, behind a proxy that counts."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from support.wiretap import tap

from grindstone.rehearsal import serve

__all__ = ["rehearsal_url", "tap"]

QUIET = {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_LOGGING_TO_API_ENABLED": "false"}


@pytest.fixture(scope="session")
def rehearsal_url() -> Iterator[str]:
    """A rehearsal server that outlives every run of the tests."""
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


@pytest.fixture
def command_environment(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command started by `support.cli_runs` finds in its environment."""
    for name, value in {**QUIET, "PREFECT_API_URL": prefect_server}.items():
        monkeypatch.setenv(name, value)
