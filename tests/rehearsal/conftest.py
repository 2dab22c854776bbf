"""A rehearsal server of each test's own, and clients of the real SDK."""

from collections.abc import AsyncIterator

import pytest
from anthropic import AsyncAnthropic

from grindstone.rehearsal import serve


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncAnthropic]:
    """The SDK as a user points it at the server: by the environment alone."""
    async with serve() as url:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
        async with AsyncAnthropic(max_retries=0) as sdk:
            yield sdk
