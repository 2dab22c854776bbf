"""A command without a server of its home starts one, and leaves nothing untold as it ends it."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import sys
from pathlib import Path
from grindstone.flows.serving.server import server_for

with server_for(Path(sys.argv[1])):
    from prefect import flow, task

    @task
    def step(number: int) -> int:
        return number

    @flow
    def steps() -> list[int]:
        return [step(number) for number in range(40)]

    steps()
"""


@pytest.mark.server
def test_the_last_steps_of_a_run_are_in_its_database_when_the_server_has_ended(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    database = sqlite3.connect(tmp_path / "server" / "prefect.db")
    ended = "SELECT state_type, count(*) FROM task_run GROUP BY state_type"
    assert database.execute(ended).fetchall() == [("COMPLETED", 40)]
    told = "SELECT type, count(*) FROM task_run_state GROUP BY type ORDER BY type"
    assert database.execute(told).fetchall() == [
        ("COMPLETED", 40),
        ("PENDING", 40),
        ("RUNNING", 40),
    ]


@pytest.mark.server
@pytest.mark.bubblewrap
def test_the_last_line_of_a_runs_log_is_there_and_nobody_waits_for_it(tmp_path: Path):
    flags = ["--sandbox", "bubblewrap", "--native-profile", "oracle", "--task-ids", "crlf-kit"]
    done = subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", "grind", *flags, "--work-dir", tmp_path],
        env=os.environ | {"PREFECT_CLIENT_MAX_RETRIES": "1000"},  # to a server that has ended
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    database = sqlite3.connect(tmp_path / "server" / "prefect.db")
    log = database.execute("SELECT message FROM log ORDER BY timestamp").fetchall()
    assert log[-1] == ("Finished in state Completed()",)
