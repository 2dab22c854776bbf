"""`grindstone up` and `down`: what they say when they cannot, and PostgreSQL."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.postgres import BINARIES, serving_postgres

from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.server import remembered, start_time

pytestmark = [pytest.mark.commands, pytest.mark.catalogue(of="what up keeps")]

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_port_in_use_is_said_and_nothing_is_left(tmp_path: Path, run_grindstone: Command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run_grindstone("up", "--work-dir", str(tmp_path / "home"), "--port", port)
    assert done.returncode == 2
    assert f"--port {port}" in done.stderr
    assert "a free port, such as --port " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists(), "nothing was begun"


@pytest.mark.parametrize("address", ["nonsense", "mysql://u@h/n", "postgresql://u@h/n", "://"])
def test_a_database_that_cannot_be_one_is_said_and_nothing_is_left(
    tmp_path: Path, run_grindstone: Command, address: str
):
    done = run_grindstone("up", "--work-dir", str(tmp_path / "home"), "--database-url", address)
    assert done.returncode == 2
    assert "--database-url: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_down_where_nothing_runs_says_so(tmp_path: Path, run_grindstone: Command):
    done = run_grindstone("down", "--work-dir", str(tmp_path))
    assert done.returncode == 1
    assert "Nothing was running" in done.stdout


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of a database in a PostgreSQL server of the test's own."""
    if not BINARIES:
        pytest.skip("no PostgreSQL server on this machine")
    with serving_postgres() as database:
        yield database.url


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_up_on_postgresql_and_down_ends_it(
    tmp_path: Path, postgresql: str, run_grindstone: Command
):
    arguments = ("--work-dir", str(tmp_path), "--port", str(free_port()), "--json")
    done = run_grindstone("up", *arguments, "--database-url", postgresql)
    try:
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["ui_url"].startswith("http://127.0.0.1:")
        assert not (tmp_path / "server" / "prefect.db").exists()
        state = remembered(tmp_path)
        assert state is not None
        assert state.worker is not None
        assert state.server.alive
        assert state.worker.alive
        environment = Path(f"/proc/{state.worker.pid}/environ").read_bytes()
        assert postgresql.encode() not in environment
    finally:
        ended = run_grindstone("down", "--work-dir", str(tmp_path), "--json")
    assert json.loads(ended.stdout) == {"ended": ["worker", "server"]}
    assert start_time(state.server.pid) is None
    assert start_time(state.worker.pid) is None


def test_a_worker_that_lives_is_not_left_at_another_port(tmp_path: Path, run_grindstone: Command):
    from grindstone.flows.serving.server import Running, ServerState, remember

    sleeper = subprocess.Popen(["sleep", "600"])
    try:
        gone, worker = Running(pid=sleeper.pid, started="0"), Running.of(sleeper.pid)
        state = ServerState(
            api_url="http://127.0.0.1:4299/api",
            ui_url="http://127.0.0.1:4299",
            server=gone,
            worker=worker,
        )
        remember(tmp_path, state)
        done = run_grindstone("up", "--work-dir", str(tmp_path), "--port", "4298")
        assert done.returncode == 2
        assert "a worker of this home still asks port 4299" in done.stderr
        assert "`grindstone down` first" in done.stderr
        assert worker.alive
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_server_that_was_killed_is_replaced(tmp_path: Path, run_grindstone: Command):
    from grindstone.flows.serving.server import Running, ServerState, find, remember, start

    state = start(tmp_path, detached=True)
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        left = state.model_copy(update={"worker": Running.of(sleeper.pid)})
        remember(tmp_path, ServerState.model_validate(left.model_dump()))
        os.killpg(state.server.pid, signal.SIGKILL)
        while state.server.alive:
            time.sleep(0.05)
        assert find(tmp_path) is None
        done = run_grindstone("down", "--work-dir", str(tmp_path), "--json")
        assert json.loads(done.stdout) == {"ended": ["worker"]}
        assert sleeper.wait(5) != 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            sleeper.kill()
