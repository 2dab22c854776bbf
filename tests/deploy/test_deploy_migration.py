"""Several processes of a Prefect server begin at once on an empty database, as pods do."""

import os
import subprocess
import sys

import pytest
from support.postgres import BINARIES, serving_postgres

pytestmark = [
    pytest.mark.drill,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server on this machine"),
]

MIGRATION = (sys.executable, "-m", "grindstone.flows.serving.migration")


def test_processes_that_begin_together_change_the_schema_one_after_the_other() -> None:
    with serving_postgres() as database:
        environment = {**os.environ, "PREFECT_API_DATABASE_CONNECTION_URL": database.url}
        begun = [
            subprocess.Popen(MIGRATION, env=environment, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for process in begun:
            _, said = process.communicate(timeout=240)
            assert process.returncode == 0, said[-2000:]


def test_a_database_that_cannot_hold_all_text_is_refused() -> None:
    """Prefect fills it, and then answers 503 to what it cannot write, as a block with a dash."""
    with serving_postgres("SQL_ASCII") as database:
        environment = {**os.environ, "PREFECT_API_DATABASE_CONNECTION_URL": database.url}
        done = subprocess.run(
            MIGRATION, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 2
    assert "PREFECT_API_DATABASE_CONNECTION_URL: its database has the encoding" in done.stderr
    assert "--encoding=UTF8" in done.stderr


def test_a_database_that_one_process_alone_has_is_refused() -> None:
    environment = {
        **os.environ,
        "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////tmp/x",
    }
    done = subprocess.run(MIGRATION, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PREFECT_API_DATABASE_CONNECTION_URL: expected postgresql" in done.stderr
