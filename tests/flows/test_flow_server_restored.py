"""A Prefect server whose database is set back under a run, to before the run began."""

import sqlite3
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.server_logs import ServerLogs
from support.wire_faults import WireFaults

from grindstone.flows.serving.login import VARIABLE, login
from grindstone.flows.serving.server import start
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("command_environment"),
]

RUN = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
TASKS = ["--task-ids", "crlf-kit", "--task-ids", "plain-inventory", "--max-cycles", "2"]


def copy_database(source: Path, target: Path) -> None:
    """Copy what SQLite has of a database, its log included."""
    for left in target.parent.glob(f"{target.name}*"):
        left.unlink()
    with sqlite3.connect(source) as read, sqlite3.connect(target) as written:
        read.backup(written)


def test_a_run_that_the_server_forgot_ends_and_says_so_and_its_key_goes_on(
    tmp_path: Path, rehearsal_url: str, server_logs: ServerLogs
):
    served, home, backup = tmp_path / "served", tmp_path / "home", tmp_path / "backup.db"
    database = served / "server" / "prefect.db"
    servers = [start(served, detached=False)]
    copy_database(database, backup)

    def set_back(count: int) -> None:
        if count == 3 and len(servers) == 1:
            servers[0].server.stop()
            copy_database(backup, database)
            servers.append(start(served, port=servers[0].port, detached=False))

    def command(url: str, log: str) -> Command:
        environment = {
            "PREFECT_API_URL": servers[0].api_url,
            VARIABLE: login(served),
            "GRINDSTONE_REHEARSAL_URL": url,
        }
        return Command([*RUN, *TASKS, "--work-dir", str(home)], environment, tmp_path / log)

    try:
        with WireFaults(rehearsal_url, after_answer=set_back) as model:
            first = command(model.url, "first.txt")
            assert first.wait() == 3, first.tail()
            assert "the server does not know the run any more" in first.tail()
            assert "fault of Grindstone" not in first.log.read_text()
            second = command(model.url, "second.txt")
            assert second.wait() == 0, second.tail()
    finally:
        servers[-1].server.stop()
    server_logs.complaints()  # it has steps to record of a run that it does not know
    rows = Ledger(Home.at(home)).rows(Episode, "K")
    assert {row.task_id for row in rows if row.passed} == {"crlf-kit", "plain-inventory"}
    assert not [row for row in rows if row.error_cause == "internal"]
