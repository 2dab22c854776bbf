"""Runs whose model calls pass a wiretap."""

from collections.abc import AsyncIterator

import pytest
from wiretap import Wiretap, tapped


@pytest.fixture
async def tap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wiretap]:
    async with tapped() as found:
        monkeypatch.setenv("GRINDSTONE_REHEARSAL_URL", found.url)
        monkeypatch.setenv("GRINDSTONE_PATIENCE", '{"pause_s": 0, "stall_s": 5}')
        yield found
