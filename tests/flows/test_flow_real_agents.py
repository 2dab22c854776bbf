"""Agents that people run, installed from their registries, through a whole run: fail, learn, pass.

The rehearsal plays their models. Where a registry or an agent is not there it is told why. `make
drills` kills the runs of two of them twenty times each, spoils their model's answers and lets them
run into a ceiling; the suite holds a short part of it.
"""

import json
import os
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.homes import report_of, table_rows
from support.kills import kill_again_and_again, paid
from support.undisturbed import Undisturbed, undisturbed_run
from support.wire_faults import WireFault, WireFaults

from grindstone.agents.agent_file import load_agent
from grindstone.agents.agent_image import with_agent
from grindstone.benchmark import build_spec, load_task
from grindstone.errors import InfrastructureError
from grindstone.ledger import Ledger
from grindstone.llm.calls import CallRecord
from grindstone.resources import bundled
from grindstone.sandbox import open_provider

KILLS = int(os.environ.get("GRINDSTONE_DRILL_KILLS", "2"))
WHOLE = "GRINDSTONE_DRILL_KILLS" in os.environ

ONLY_WHOLE = pytest.mark.skipif(not WHOLE, reason="a part of `make drills` alone")

pytestmark = [
    pytest.mark.catalogue(of="agents of others"),
    *(pytest.mark.registry, pytest.mark.server, pytest.mark.slow),
    pytest.mark.timeout(900 + 60 * KILLS),
    pytest.mark.usefixtures("command_environment"),
]

TASK = "crlf-kit"
PLACES = {"codex on docker": ("codex", "docker")}
"""The others run on bubblewrap."""

ON = [
    *(pytest.param(name, marks=pytest.mark.bubblewrap) for name in ("claude-code", "codex")),
    pytest.param("mini-swe-agent", marks=[pytest.mark.bubblewrap, pytest.mark.drill]),
    pytest.param("opencode", marks=[pytest.mark.bubblewrap, pytest.mark.drill, ONLY_WHOLE]),
    pytest.param("codex on docker", marks=pytest.mark.docker),
]
KILLED = [
    pytest.param("claude-code", marks=pytest.mark.bubblewrap),
    pytest.param("codex", marks=[pytest.mark.bubblewrap, pytest.mark.drill]),
]


async def require_installed(name: str, engine: str) -> None:
    """Skip where the agent cannot be installed; its image is kept for the run."""
    provider = await open_provider(engine)
    try:
        task = load_task(bundled("examples/tasks") / TASK)
        await provider.build(with_agent(build_spec(task), load_agent(name)))
    except InfrastructureError as error:
        pytest.skip(f"{name} cannot be installed here: {str(error)[-500:]}")
    finally:
        await provider.close()


class Grinds:
    """Runs of one agent on one engine."""

    def __init__(self, name: str, *more: str) -> None:
        self.name, self.engine = PLACES.get(name, (name, "bubblewrap"))
        self._more = more

    def __call__(self, home: Path, url: str) -> Command:
        home.mkdir(parents=True, exist_ok=True)
        run = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", self.engine]
        run += ["--agent", self.name, "--task-ids", TASK, "--max-cycles", "2", *self._more]
        environment = {"GRINDSTONE_REHEARSAL_URL": url}
        return Command([*run, "--work-dir", str(home)], environment, home / "log.txt")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed")


async def undisturbed(homes: Path, url: str, name: str) -> Undisturbed:
    """Return the agent's run that nobody disturbed, made once."""
    grinds = Grinds(name)
    await require_installed(grinds.name, grinds.engine)
    return undisturbed_run(homes / name.replace(" ", "-"), url, grinds)


def outcomes(home: Path) -> object:
    report = report_of(home, "K")
    episodes = [json.loads(row) for row in table_rows(home, "K", "episodes")]
    scores = sorted((row["cycle"], row["outcome"], row["score"]) for row in episodes)
    return [report["first_passed"], report["passed"], scores]


@pytest.mark.catalogue
@pytest.mark.parametrize("name", ON)
async def test_it_fails_learns_and_passes(homes: Path, rehearsal_url: str, name: str):
    home = (await undisturbed(homes, rehearsal_url, name)).home
    report = report_of(home, "K")
    assert (report["first_passed"], report["passed"], report["n_tasks"]) == (0, 1, 1)
    episodes = [json.loads(row) for row in table_rows(home, "K", "episodes")]
    assert sorted(row["outcome"] for row in episodes) == ["failed", "passed"]
    assert {row["stop_reason"] for row in episodes} == {"submitted"}
    label = load_agent(Grinds(name).name).label
    assert {row["profile"] for row in episodes} == {f"command {label}"}
    assert all(row["tool_calls"] >= 2 for row in episodes)
    uses = [json.loads(row) for row in table_rows(home, "K", "skill_uses")]
    assert any(row["loaded"] and row["followed"] for row in uses)


@pytest.mark.catalogue(of="kills of a run")
@pytest.mark.parametrize("name", KILLED)
async def test_killed_it_pays_for_no_answer_twice(
    tmp_path: Path, homes: Path, rehearsal_url: str, name: str
):
    calm = await undisturbed(homes, rehearsal_url, name)
    killed = kill_again_and_again(
        tmp_path,
        rehearsal_url,
        Grinds(name),
        kills=KILLS,
        calls=calm.paid,
        first_call_s=calm.first_call_s,
        seed=f"kill {name}",
    )
    assert killed.code == 0, killed.command.tail()
    assert len(killed.kills) == KILLS
    assert paid(killed.seen) <= calm.paid + killed.lost
    assert outcomes(tmp_path) == outcomes(calm.home)


@pytest.mark.parametrize("name", KILLED)
@pytest.mark.drill
@ONLY_WHOLE
async def test_faults_change_no_score_and_a_ceiling_holds(
    tmp_path: Path, homes: Path, rehearsal_url: str, name: str
):
    calm = await undisturbed(homes, rehearsal_url, name)
    faults = [fault for fault in WireFault if fault is not WireFault.STALL]
    with WireFaults(rehearsal_url, seed=5, rate=0.3, faults=faults, retry_after_s=0.1) as wire:
        command = Grinds(name)(tmp_path / "faults", wire.url)
        assert command.wait() == 0, command.tail()
    assert sum(wire.faults.values()) >= 3
    assert outcomes(tmp_path / "faults") == outcomes(calm.home)
    spent = [call.usage.total_tokens for call in Ledger(calm.home).rows(CallRecord)]
    ceiling = sum(spent) // 2
    command = Grinds(name, "--max-tokens-total", str(ceiling))(tmp_path / "ceiling", rehearsal_url)
    assert command.wait() == 1, command.tail()
    used = sum(c.usage.total_tokens for c in Ledger(tmp_path / "ceiling").rows(CallRecord))
    assert used <= ceiling + max(spent)
