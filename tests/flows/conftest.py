"""Runs of the command line against one rehearsal server, behind a proxy that counts; a run that
sends its attempts to a pool where the test is the worker."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.sender import Sender, sending_to_nobody
from support.wiretap import tap

__all__ = ["tap"]

QUIET = {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_LOGGING_TO_API_ENABLED": "false"}


@pytest.fixture
def command_environment(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command started by `support.cli_runs` finds in its environment."""
    for name, value in {**QUIET, "PREFECT_API_URL": prefect_server}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def sender(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sender]:
    async with sending_to_nobody(tmp_path, monkeypatch) as made:
        yield made
