"""Agents that people run, installed from their registries, through a whole run: fail, learn, pass.

The rehearsal plays their models. Where a registry or an agent is not there it is told why.
"""

import json
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.homes import report_of, table_rows

from grindstone.agents.agent_file import load_agent
from grindstone.agents.agent_image import with_agent
from grindstone.benchmark import build_spec, load_task
from grindstone.errors import InfrastructureError
from grindstone.resources import bundled
from grindstone.sandbox import open_provider

pytestmark = [
    *(pytest.mark.registry, pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("command_environment"),
]

TASK = "crlf-kit"


async def require_installed(name: str) -> None:
    """Skip where the agent cannot be installed; its image is kept for the run."""
    provider = await open_provider("bubblewrap")
    try:
        task = load_task(bundled("examples/tasks") / TASK)
        await provider.build(with_agent(build_spec(task), load_agent(name)))
    except InfrastructureError as error:
        pytest.skip(f"{name} cannot be installed here: {str(error)[-500:]}")
    finally:
        await provider.close()


@pytest.mark.parametrize("name", ["claude-code", "codex", "mini-swe-agent"])
async def test_it_fails_learns_and_passes(tmp_path: Path, rehearsal_url: str, name: str):
    await require_installed(name)
    home = tmp_path / "home"
    home.mkdir()
    run = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
    run += ["--agent", name, "--task-ids", TASK, "--max-cycles", "2", "--work-dir", str(home)]
    command = Command(run, {"GRINDSTONE_REHEARSAL_URL": rehearsal_url}, home / "log.txt")
    assert command.wait() == 0, command.tail()
    report = report_of(home, "K")
    assert (report["first_passed"], report["passed"], report["n_tasks"]) == (0, 1, 1)
    episodes = [json.loads(row) for row in table_rows(home, "K", "episodes")]
    assert sorted(row["outcome"] for row in episodes) == ["failed", "passed"]
    assert {row["stop_reason"] for row in episodes} == {"submitted"}
    assert {row["profile"] for row in episodes} == {f"command {load_agent(name).label}"}
    assert all(row["tool_calls"] >= 2 for row in episodes)
    uses = [json.loads(row) for row in table_rows(home, "K", "skill_uses")]
    assert any(row["loaded"] and row["followed"] for row in uses)
