"""Runs killed at many points of their life, and what they come to when they are resumed.

The solver is the `strands` profile, whose commands run to their end: what a terminal's screen
shows depends on how busy the machine is, and an answer to another screen is another answer.
"""

from pathlib import Path
from typing import NamedTuple

import pytest
from support.cli_runs import Command
from support.homes import history_of, ledger_rows, report_of
from support.wire_faults import WireFaults

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(900),
    pytest.mark.usefixtures("command_environment"),
]

RUN = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
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


class Undisturbed(NamedTuple):
    """What a run that nobody killed left."""

    home: Path
    paid: int


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
    count = undisturbed_at / "paid"
    if not count.exists():
        with WireFaults(rehearsal_url) as proxy:
            command = start(undisturbed_at, proxy.url)
            assert command.wait() == 0, command.tail()
        count.write_text(str(len(proxy.seen)))
    return Undisturbed(undisturbed_at, int(count.read_text()))


def check_same(home: Path, undisturbed: Undisturbed) -> None:
    assert history_of(home) == history_of(undisturbed.home)
    rows, expected = ledger_rows(home, "K"), ledger_rows(undisturbed.home, "K")
    for table in expected:
        assert rows[table] == expected[table], table
    assert report_of(home, "K") == report_of(undisturbed.home, "K")


def check_nothing_left(home: Path) -> None:
    """No process and no mount of the dead is left, and nothing half-written."""
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(home) not in mounts
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        assert not ("bwrap" in line and str(home) in line), line
    assert not list(home.glob("runs/K/attempts/*"))
    assert not list(home.glob("**/*.lock/"))


@pytest.mark.parametrize("moment", ["before_answer", "after_answer"])
def test_killed_at_its_calls_it_pays_for_none_twice(
    tmp_path: Path, rehearsal_url: str, undisturbed: Undisturbed, moment: str
):
    kills = 0
    points = list(range(1, undisturbed.paid, 4))
    command: Command | None = None

    def kill_at(count: int) -> None:
        nonlocal kills
        if command is not None and points and count - kills >= points[0]:
            points.pop(0)
            command.kill()
            kills += 1

    with WireFaults(rehearsal_url, **{moment: kill_at}) as proxy:
        while True:
            command = start(tmp_path, proxy.url)
            if (code := command.wait()) != -9:
                break
    assert code == 0, command.tail()
    assert kills >= 6 and not points
    # The answer that was on its way when the process died is asked for again, and no other.
    assert len(proxy.seen) <= undisturbed.paid + kills
    check_same(tmp_path, undisturbed)
    check_nothing_left(tmp_path)


def test_killed_as_its_files_appear_it_ends_the_same(
    tmp_path: Path, rehearsal_url: str, undisturbed: Undisturbed
):
    kills = 0
    with WireFaults(rehearsal_url) as proxy:
        for pattern in FILES:
            command = start(tmp_path, proxy.url)
            code = command.wait(lambda pattern=pattern: any(tmp_path.glob(pattern)))
            if code is None:
                command.kill()
                command.wait()
                kills += 1
        command = start(tmp_path, proxy.url)
        assert command.wait() == 0, command.tail()
    assert kills >= len(FILES) - 2  # some files are there only for an instant
    assert len(proxy.seen) <= undisturbed.paid + kills
    check_same(tmp_path, undisturbed)
    check_nothing_left(tmp_path)
