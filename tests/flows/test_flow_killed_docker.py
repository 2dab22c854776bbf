"""A run on Docker that is killed: its next start leaves no container and no network."""

from pathlib import Path
from typing import Any

import docker
import pytest
from support.cli_runs import Command

from grindstone.sandbox.docker.engine import LABEL

pytestmark = [
    *(pytest.mark.server, pytest.mark.docker, pytest.mark.slow),
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("command_environment"),
]


def test_a_killed_run_leaves_nothing_on_the_engine(tmp_path: Path, rehearsal_url: str) -> None:
    key = f"killed-{tmp_path.name}"
    arguments = [
        *("grind", "--run-key", key, "--model-id", "rehearsal", "--sandbox", "docker"),
        *("--task-ids", "plain-inventory", "--max-cycles", "1", "--work-dir", str(tmp_path)),
    ]
    engine = docker.from_env()

    def left() -> list[Any]:
        return engine.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{LABEL}.run_key={key}"}
        )

    def start() -> Command:
        environment = {"GRINDSTONE_REHEARSAL_URL": rehearsal_url}
        return Command(arguments, environment, tmp_path / "log.txt")

    networks = {network.id for network in engine.networks.list()}
    command = start()
    assert command.wait(until=lambda: bool(left())) is None, command.tail()
    command.kill()
    command.wait()
    orphans = left()
    assert orphans  # the engine does not know that their owner is dead

    again = start()
    assert again.wait() == 0, again.tail()
    assert left() == []
    assert {network.id for network in engine.networks.list()} == networks
    assert "passed" in again.tail()
    engine.close()
