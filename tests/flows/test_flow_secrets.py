"""What a run writes down holds no key, no environment value and no test source.

Two columns of the ledger are left out on purpose: `verdicts.output` and
`test_results.message` are the verifier's own words, which may quote a test.

Prefect's database is read as it lies on disk, in all its tables: parameters, states, logs,
events and artifacts. What it holds of the run is looked for too, so that an empty or another
database cannot pass.
"""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.wire_faults import WireFaults

from grindstone.ledger import Ledger
from grindstone.ledger.tables import TABLES
from grindstone.resources import bundled

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("command_environment"),
]

ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-canary-of-the-key",
    "AWS_SECRET_ACCESS_KEY": "canary-of-a-cloud-secret",
    "TASKS_OWN_TOKEN": "canary-of-what-was-passed",
    "HARMLESS_SETTING": "canary-of-a-plain-variable",
}
TALKATIVE = """
[environment.env]
GIVEN = "${TASKS_OWN_TOKEN}"
PROMPT_COMMAND = "echo given $GIVEN"
BASH_ENV = "/etc/talkative"
"""
LOGGING = {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_TO_API_ENABLED": "true"}
IN_TESTS = "canary_of_the_test_source"
VERIFIERS_WORDS = {"verdicts": "output", "test_results": "message"}


def prefect_tables(database: Path) -> dict[str, str]:
    """Return all that each table of Prefect's database holds, as text."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        listed = opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: repr(opened.execute(f'SELECT * FROM "{name}"').fetchall()) for (name,) in listed
        }


def settled(database: Path, wanted: dict[str, str]) -> dict[str, str]:
    """Return the tables once they hold what they must; logs and task runs arrive late."""
    deadline = time.monotonic() + 30
    while True:
        tables = prefect_tables(database)
        missing = [name for name, text in wanted.items() if text not in tables[name]]
        if not missing:
            return tables
        assert time.monotonic() < deadline, f"nothing of the run in {missing}"
        time.sleep(0.5)


def test_nothing_a_run_writes_down_holds_a_secret(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, rehearsal_url: str
):
    task = tmp_path / "tasks" / "crlf-kit"
    shutil.copytree(bundled("examples/tasks") / "crlf-kit", task)
    checks = task / "tests" / "checks.py"
    checks.write_text(f"# {IN_TESTS}\n{IN_TESTS} = 1\n{checks.read_text()}")
    with (task / "task.toml").open("a") as toml:
        toml.write(TALKATIVE)
    with (task / "environment" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("RUN echo 'echo given $GIVEN >&2' > /etc/talkative\n")
    home = tmp_path / "home"
    home.mkdir()
    with WireFaults(rehearsal_url) as proxy:
        done = subprocess.run(  # of its own, for its logs to go to the server
            [
                *(sys.executable, "-m", "grindstone.flows.cli"),
                *("grind", "--run-key", "K", "--work-dir", str(home), "--sandbox", "bubblewrap"),
                *("--tasks-dir", str(task.parent), "--model-id", "claude-sonnet-5-5"),
                *("--max-cycles", "2", "--pass-env", "TASKS_OWN_TOKEN"),
            ],
            env={**os.environ, **ENVIRONMENT, **LOGGING, "ANTHROPIC_BASE_URL": proxy.url},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert proxy.seen
    canaries = {*ENVIRONMENT.values(), IN_TESTS}
    assert not [canary for canary in canaries if canary in done.stdout + done.stderr]

    # What the model was told, and so what it could have written down.
    told = json.dumps([seen.body for seen in proxy.seen])
    assert not [canary for canary in canaries if canary in told]

    ledger = Ledger(home)
    kept = ""
    for table in TABLES:
        frame = ledger.scan(table, "K").collect()
        if table in VERIFIERS_WORDS:
            frame = frame.drop(VERIFIERS_WORDS[table])
        kept += json.dumps(frame.to_dicts(), default=str)
    assert "crlf-kit" in kept
    assert "given [key]" in kept  # the task had it, and showed it
    assert not [canary for canary in canaries if canary in kept]

    [database] = tmp_path_factory.getbasetemp().glob("prefect-server[0-9]*/server/prefect.db")
    run = str(home)
    wanted = {"flow_run": run, "artifact": "crlf-kit", "log": "crlf-kit", "task_run": "crlf-kit"}
    for table, held in settled(database, wanted).items():
        assert not [canary for canary in canaries if canary in held], table

    journal = sorted((home / "runs" / "K" / "journal").iterdir())
    assert journal
    for path in (path for path in home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found = [canary for canary in canaries if canary.encode() in content]
        assert not found, path
