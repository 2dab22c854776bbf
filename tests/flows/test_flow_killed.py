"""Runs killed at many points of their life, and what they come to when they are resumed.

The solver is the `strands` profile, whose commands run to their end: what a terminal's screen
shows depends on how busy the machine is, and an answer to another screen is another answer.
"""

import os
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.homes import history_of, ledger_rows, report_of, table_rows
from support.sandboxes import sandboxes_of
from support.share import Draw
from support.undisturbed import Undisturbed, undisturbed_run
from support.wire_faults import WireFaults

from grindstone.workspace.git import BRANCH, Repository

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("command_environment"),
]

RUN = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
KILLS = int(os.environ.get("GRINDSTONE_DRILL_KILLS", "6"))
TASKS = ["crlf-kit", "plain-inventory"]  # one that fails at first, one that passes

FILES = (
    "runs/K/plan.json",
    "ledger/runs/*/*.parquet",
    "runs/K/results/*",
    "agents/*/workspace/.git/index.lock",
    "runs/K/attempts/*.json",
    "ledger/trajectories/*/*.parquet",
    "ledger/episodes/*/*.parquet",
    "ledger/compliance/*/*.parquet",
    "agents/*/workspace/evolution/current_observation.md",
    "agents/*/workspace/evolution/steps/*.json",
    "agents/*/workspace/.git/refs/tags/evo-1",
    "ledger/evolutions/*/*.parquet",
    "ledger/egl/*/*.parquet",
    "ledger/batches/*/*.parquet",
    "runs/K/plots/*.svg",
    "runs/K/report.json",
)


def some_of(files: tuple[str, ...]) -> list[str]:
    """Return all of them, or a drawn part, at least six, in the order in which they appear."""
    draw = Draw.from_environment()
    least = sorted(files, key=draw.lot)[:6]
    return [file for file in files if draw.holds(file) or file in least]


def start(home: Path, url: str) -> Command:
    """Start the run, or go on with it."""
    home.mkdir(parents=True, exist_ok=True)
    tasks = [flag for task in TASKS for flag in ("--task-ids", task)]
    environment = {"GRINDSTONE_REHEARSAL_URL": url}
    return Command(
        [*RUN, "--max-cycles", "2", "--work-dir", str(home), *tasks], environment, home / "log.txt"
    )


@pytest.fixture(scope="module")
def undisturbed_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed") / "home"


@pytest.fixture
def undisturbed(undisturbed_at: Path, rehearsal_url: str) -> Undisturbed:
    """The run to compare with, made once."""
    return undisturbed_run(undisturbed_at, rehearsal_url, start)


def check_same(home: Path, undisturbed: Undisturbed) -> None:
    assert history_of(home) == history_of(undisturbed.home)
    rows, expected = ledger_rows(home, "K"), ledger_rows(undisturbed.home, "K")
    for table in expected:
        assert rows[table] == expected[table], table
    assert report_of(home, "K") == report_of(undisturbed.home, "K")


def check_on_the_way(home: Path, undisturbed: Undisturbed, before: Counter[str]) -> Counter[str]:
    """Check what a kill left, and return the episodes there are by now."""
    expected = history_of(undisturbed.home)["tags"]
    root = home / "agents" / "skillbench" / "workspace"
    if (root / ".git" / "refs" / "heads" / BRANCH).exists():
        repository = Repository(root)
        for tag, commit in repository.tags().items():
            assert repository.tree_of(commit) == expected[tag], tag
    episodes = table_rows(home, "K", "episodes")
    # None is gone, none is there twice, and none is another than the undisturbed run's.
    assert before <= episodes <= table_rows(undisturbed.home, "K", "episodes")
    return episodes


def check_nothing_left(home: Path, pids: Iterable[int]) -> None:
    """No sandbox, process or mount of the run is left, and nothing half-written."""
    assert not sandboxes_of(pids)
    assert not list(home.glob("runs/K/attempts/*"))
    assert not list(home.glob("**/*.lock/"))


@pytest.mark.catalogue(of="kills of a run")
@pytest.mark.parametrize("moment", ["before_answer", "after_answer"])
def test_killed_at_its_calls_it_pays_for_none_twice(
    tmp_path: Path, rehearsal_url: str, undisturbed: Undisturbed, moment: str
):
    chance = random.Random(f"kill {moment}")
    places = range(1, undisturbed.paid - 2)
    points = sorted(chance.sample(places, min(KILLS, len(places))))
    kills = len(points)
    command: Command | None = None
    in_flight: list[str] = []
    pids: list[int] = []
    outlived: list[str] = []
    episodes: Counter[str] = Counter()

    def kill_at(count: int) -> None:
        asked = len({seen.digest for seen in proxy.seen})  # one that was cut off counts once
        if command is not None and points and asked >= points[0]:
            points.pop(0)
            outlived.extend(sandboxes_of(pids[:-1]))  # of the dead, now that the next one works
            in_flight.append(proxy.seen[-1].digest)
            command.kill()

    with WireFaults(rehearsal_url, **{moment: kill_at}) as proxy:
        while True:
            command = start(tmp_path, proxy.url)
            pids.append(command.pid)
            if (code := command.wait()) != -9:
                break
            episodes = check_on_the_way(tmp_path, undisturbed, episodes)
    assert code == 0, command.tail()
    assert len(in_flight) == kills and not points
    assert not outlived
    # The answer that was on its way when the process died is asked for again, and no other.
    assert len(proxy.seen) <= undisturbed.paid + len(in_flight)
    asked = Counter(seen.digest for seen in proxy.seen)
    assert {digest for digest, times in asked.items() if times > 1} <= set(in_flight)
    check_same(tmp_path, undisturbed)
    check_nothing_left(tmp_path, pids)


@pytest.mark.catalogue(of="kills of a run")
def test_killed_as_its_files_appear_it_ends_the_same(
    tmp_path: Path, rehearsal_url: str, undisturbed: Undisturbed
):
    kills = 0
    files = some_of(FILES)
    pids: list[int] = []
    episodes: Counter[str] = Counter()
    with WireFaults(rehearsal_url) as proxy:
        for pattern in files:
            command = start(tmp_path, proxy.url)
            pids.append(command.pid)
            code = command.wait(lambda pattern=pattern: any(tmp_path.glob(pattern)))
            if code is None:
                command.kill()
                command.wait()
                kills += 1
                episodes = check_on_the_way(tmp_path, undisturbed, episodes)
        command = start(tmp_path, proxy.url)
        pids.append(command.pid)
        assert command.wait() == 0, command.tail()
    assert kills >= len(files) - 2  # some files are there only for an instant
    assert len(proxy.seen) <= undisturbed.paid + kills
    check_same(tmp_path, undisturbed)
    check_nothing_left(tmp_path, pids)
