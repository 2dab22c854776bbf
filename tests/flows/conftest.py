"""Runs of the command line against one rehearsal server, behind a proxy that counts."""

import pytest
from support.wiretap import tap

__all__ = ["tap"]

QUIET = {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_LOGGING_TO_API_ENABLED": "false"}


@pytest.fixture
def command_environment(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command started by `support.cli_runs` finds in its environment."""
    for name, value in {**QUIET, "PREFECT_API_URL": prefect_server}.items():
        monkeypatch.setenv(name, value)
