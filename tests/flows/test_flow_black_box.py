"""An agent's own program through a whole run: it fails, learns and passes, also when killed."""

import os
from collections import Counter
from pathlib import Path

import pytest
from support.agents import black_box_agent
from support.cli_runs import Command
from support.homes import report_of, table_rows
from support.kills import kill_again_and_again, paid
from support.undisturbed import Undisturbed, undisturbed_run
from support.wire_faults import WireFault, WireFaults

pytestmark = [
    pytest.mark.catalogue(of="agents of others"),
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("command_environment"),
]

KILLS = int(os.environ.get("GRINDSTONE_DRILL_KILLS", "3"))
KEY = "sk-the-key-in-the-environment-of-the-run"


def start(home: Path, url: str) -> Command:
    """Start the run, or go on with it."""
    home.mkdir(parents=True, exist_ok=True)
    agent = black_box_agent(home)
    run = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
    run += ["--agent", str(agent), "--task-ids", "crlf-kit", "--max-cycles", "2"]
    environment = {"GRINDSTONE_REHEARSAL_URL": url, "ANTHROPIC_API_KEY": KEY}
    return Command([*run, "--work-dir", str(home)], environment, home / "log.txt")


@pytest.fixture(scope="module")
def undisturbed_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed") / "home"


@pytest.fixture
def undisturbed(undisturbed_at: Path, rehearsal_url: str) -> Undisturbed:
    """The run to compare with, made once."""
    return undisturbed_run(undisturbed_at, rehearsal_url, start)


def test_it_fails_learns_and_passes(undisturbed: Undisturbed):
    report = report_of(undisturbed.home, "K")
    assert (report["first_passed"], report["passed"], report["n_tasks"]) == (0, 1, 1)
    episodes = [*table_rows(undisturbed.home, "K", "episodes")]
    outcomes = sorted('"outcome": "passed"' in row for row in episodes)
    assert outcomes == [False, True]
    assert all('"profile": "command black-box ' in row for row in episodes)
    uses = [*table_rows(undisturbed.home, "K", "skill_uses")]
    assert any('"loaded": true' in row and '"followed": true' in row for row in uses)
    kept = [path for path in undisturbed.home.rglob("*") if path.is_file()]
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


@pytest.mark.catalogue(of="kills of a run")
def test_killed_at_its_calls_it_pays_for_none_twice(
    tmp_path: Path, rehearsal_url: str, undisturbed: Undisturbed
):
    killed = kill_again_and_again(
        tmp_path,
        rehearsal_url,
        start,
        kills=KILLS,
        calls=undisturbed.paid,
        first_call_s=undisturbed.first_call_s,
        seed="a black box",
    )
    assert killed.code == 0, killed.command.tail()
    assert len(killed.kills) == KILLS
    assert paid(killed.seen) <= undisturbed.paid + killed.lost
    asked = Counter(seen.digest for seen in killed.seen)
    assert sum(times - 1 for times in asked.values()) <= killed.lost
    assert outcomes_of(tmp_path) == outcomes_of(undisturbed.home)


def outcomes_of(home: Path) -> object:
    report = report_of(home, "K")
    return [report["passed"], report["first_passed"], len(table_rows(home, "K", "episodes"))]


@pytest.mark.catalogue(of="faults")
def test_faults_on_the_wire_change_no_score(
    tmp_path: Path, rehearsal_url: str, undisturbed: Undisturbed
):
    faults = [fault for fault in WireFault if fault is not WireFault.STALL]
    with WireFaults(rehearsal_url, seed=3, rate=0.3, faults=faults, retry_after_s=0.1) as proxy:
        command = start(tmp_path, proxy.url)
        assert command.wait() == 0, command.tail()
    assert sum(proxy.faults.values()) >= 3
    assert outcomes_of(tmp_path) == outcomes_of(undisturbed.home)
