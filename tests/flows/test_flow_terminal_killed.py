"""A terminal never shows the same twice; a run that is killed in one pays for no answer twice."""

import re
import shutil
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.wire_faults import Seen, WireFaults

from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import StepRow
from grindstone.llm import CallRecord
from grindstone.records import Episode
from grindstone.resources import bundled

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("command_environment"),
]

NUMBER = re.compile(r"screen (\d+)")
RESTLESS = """RUN echo 'PROMPT_COMMAND="echo screen \\$RANDOM\\$RANDOM"' >> /root/.bashrc\n"""


@pytest.fixture
def restless(tmp_path: Path) -> Path:
    """A task whose terminal prints a random number before every prompt."""
    task = tmp_path / "tasks" / "plain-inventory"
    shutil.copytree(bundled("examples/tasks") / "plain-inventory", task)
    with (task / "environment" / "Dockerfile").open("a") as file:
        file.write(RESTLESS)
    return task.parent


def start(home: Path, url: str, tasks: Path) -> Command:
    return Command(
        [
            *("grind", "--run-key", "K", "--work-dir", str(home), "--sandbox", "bubblewrap"),
            *("--tasks-dir", str(tasks), "--model-id", "rehearsal", "--max-cycles", "1"),
            *("--native-profile", "terminus2", "--task-skill-mode", "off"),
            *("--success-mode", "off"),
        ],
        {"GRINDSTONE_REHEARSAL_URL": url},
        home.parent / "log.txt",
    )


@pytest.mark.catalogue(of="kills of a run")
def test_a_killed_terminal_is_resumed_where_it_was(
    tmp_path: Path, rehearsal_url: str, restless: Path
):
    home = tmp_path / "home"
    home.mkdir()
    in_flight: list[Seen] = []
    command: Command | None = None

    def kill_at(point: int, count: int) -> None:
        if command is not None and len(in_flight) == point - 2 and count - len(in_flight) == point:
            in_flight.append(proxy.seen[-1])
            command.kill()

    with WireFaults(
        rehearsal_url, before_answer=partial(kill_at, 2), after_answer=partial(kill_at, 3)
    ) as proxy:
        while True:
            command = start(home, proxy.url, restless)
            if (code := command.wait()) != -9:
                break
    assert code == 0, command.tail()
    assert len(in_flight) == 2

    turns: dict[int, list[str]] = defaultdict(list)
    for seen in proxy.seen:
        messages = seen.body["messages"]
        assert isinstance(messages, list)
        turns[len(messages)].append(seen.digest)
    again = {seen.digest for seen in in_flight}
    for digests in turns.values():
        # Whatever the new terminals showed: one question a turn, asked again only if cut off.
        assert len(set(digests)) == 1
        assert len(digests) == 1 or (len(digests) == 2 and digests[0] in again)

    ledger = Ledger(home)
    [episode] = ledger.rows(Episode, "K")
    assert episode.turns == len(turns) == len(ledger.rows(CallRecord, "K"))
    assert episode.outcome.value == "passed"
    # The ledger tells what the model was told, also of the turns before the kills.
    told = NUMBER.findall(str(proxy.seen[-1].body))
    kept = [NUMBER.findall(out.content) for row in ledger.rows(StepRow, "K") for out in row.outputs]
    assert len(told) > len(turns)
    assert {number for numbers in kept for number in numbers} <= set(told)
    assert not list(home.glob("runs/K/attempts/*"))
