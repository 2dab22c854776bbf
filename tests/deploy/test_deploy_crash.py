"""Server, worker, engine or command is killed: no run says Running that does not run."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.cli_runs import Command

from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.server import remembered
from grindstone.ledger import Ledger
from grindstone.records import Episode

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

MINUTE_S = 60.0
TASKS = ["crlf-kit", "branch-sales", "plain-inventory"]
SETTINGS = {
    "max_cycles": 1,
    "evolve_skills": False,
    "task_skill_mode": "off",
    "success_mode": "off",
    "task_ids": TASKS,
}


@pytest.fixture(scope="module")
def slow_service() -> Iterator[str]:
    """The address of a model's service that takes its time."""
    import uvicorn
    from starlette.types import Receive, Scope, Send

    from grindstone.rehearsal.server import app

    answering = app()

    async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(1.0)
        await answering(scope, receive, send)

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(slowly, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def slow_model(up: Any, slow_service: str) -> str:
    """The name of a model block whose model takes its time."""
    data = {"model_id": "claude-sonnet-4-5", "api_key": "any", "base_url": slow_service}
    up.save_block("grindstone-model", "slow", data)
    return "slow"


class Services(NamedTuple):
    """A model that takes its time: its address, its saved block; and where a command logs."""

    url: str
    block: str
    log: Path


def start(up: Any, agent: str, model: str) -> str:
    settings = SETTINGS | {"work_dir": str(up.home), "agent_id": agent}
    return str(up.start("grind", {"settings": settings, "blocks": {"model": model}}))


def until(what: Callable[[], Any], patience_s: float = 300.0) -> Any:
    deadline = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def running(up: Any, run_id: str) -> list[dict[str, Any]]:
    return [run for run in up.subflows(run_id) if run["state_type"] == "RUNNING"]


def states(up: Any, run_id: str) -> dict[str, str]:
    """The run's state and those of all that is part of it."""
    runs = [up.get(f"/flow_runs/{run_id}"), *up.subflows(run_id)]
    steps = [step for run in runs for step in up.task_runs(run["id"])]
    return {item["name"]: item["state_type"] for item in [*runs, *steps]}


def check_told_within_a_minute(up: Any, run_id: str) -> None:
    """Nothing of the run says Running for longer than a minute, and the run is Crashed."""
    until(lambda: "RUNNING" not in states(up, run_id).values(), MINUTE_S)
    assert up.get(f"/flow_runs/{run_id}")["state_type"] == "CRASHED", states(up, run_id)


def key_of(up: Any, run_id: str) -> str:
    [tag] = [tag for tag in up.get(f"/flow_runs/{run_id}")["tags"] if tag.startswith("run:")]
    return str(tag.removeprefix("run:"))


@pytest.mark.catalogue(of="kills beside a run")
def test_an_engine_that_is_killed_is_told_and_retry_goes_on(up: Any, slow_model: str):
    run_id = start(up, "retried", slow_model)
    key = until(lambda: running(up, run_id) and key_of(up, run_id))
    ledger = Ledger(up.home)
    [first] = until(lambda: ledger.rows(Episode, key))
    until(lambda: running(up, run_id))
    os.kill(up.engine_of(run_id), signal.SIGKILL)
    check_told_within_a_minute(up, run_id)

    up.retry(run_id)
    until(lambda: up.get(f"/flow_runs/{run_id}")["run_count"] == 2)
    assert up.finished(run_id)["state_type"] == "COMPLETED", up.logs(run_id)
    assert key_of(up, run_id) == key
    episodes = {row.task_id: row for row in ledger.rows(Episode, key)}
    assert sorted(episodes) == sorted(TASKS)
    assert episodes[first.task_id] == first, "what was paid for is not done again"

    quick = SETTINGS | {"task_ids": TASKS[:1], "work_dir": str(up.home), "model_id": "rehearsal"}
    copy = up.start("grind", {"settings": quick | {"agent_id": "copied"}})
    assert up.finished(copy)["state_type"] == "COMPLETED", up.logs(copy)
    assert key_of(up, copy) != key


def worker_and_run(up: Any, services: Services):
    run_id = start(up, "workerless", services.block)
    until(lambda: running(up, run_id))
    state = remembered(up.home)
    assert state is not None and state.worker is not None
    engine = up.engine_of(run_id)
    os.kill(state.worker.pid, signal.SIGKILL)
    os.kill(engine, signal.SIGKILL)
    check_told_within_a_minute(up, run_id)
    done = up.command("up", "--work-dir", str(up.home))
    assert done.returncode == 0, done.stderr
    after = remembered(up.home)
    assert after is not None and after.worker is not None
    assert after.server == state.server
    assert after.worker != state.worker and after.worker.alive


def server(up: Any, services: Services):
    """It comes back to its worker and its run."""
    run_id = start(up, "serverless", services.block)
    until(lambda: running(up, run_id))
    before = remembered(up.home)
    assert before is not None and before.worker is not None
    os.kill(before.server.pid, signal.SIGKILL)
    until(lambda: not before.server.alive)
    done = up.command("up", "--work-dir", str(up.home))
    assert done.returncode == 0, done.stderr
    after = remembered(up.home)
    assert after is not None
    assert after.worker == before.worker, "a worker that lives is kept"
    assert after.server != before.server
    ended = up.finished(run_id)
    # The engine waits a minute for its server; a slow machine may need longer for a new one.
    assert ended["state_type"] in ("COMPLETED", "CRASHED", "FAILED")
    until(lambda: "RUNNING" not in states(up, run_id).values(), MINUTE_S)
    quick = SETTINGS | {"task_ids": TASKS[:1], "work_dir": str(up.home), "model_id": "rehearsal"}
    again = up.start("grind", {"settings": quick | {"agent_id": "afterwards"}})
    assert up.finished(again)["state_type"] == "COMPLETED", up.logs(again)


def machine(up: Any, services: Services):
    """All of it; `up` tells what no longer runs."""
    run_id = start(up, "crashed", services.block)
    until(lambda: running(up, run_id))
    state = remembered(up.home)
    assert state is not None and state.worker is not None
    for pid in (state.server.pid, state.worker.pid, up.engine_of(run_id)):
        os.kill(pid, signal.SIGKILL)
    done = up.command("up", "--work-dir", str(up.home))
    assert done.returncode == 0, done.stderr
    check_told_within_a_minute(up, run_id)


def command(up: Any, services: Services):
    flags = ("--task-ids", "crlf-kit", "--max-cycles", "1", "--agent-id", "felled")
    home = ("--work-dir", str(up.home), "--run-key", "felled")
    given = {"GRINDSTONE_REHEARSAL_URL": services.url}
    command = Command(["grind", *home, *flags, "--model-id", "rehearsal"], given, services.log)
    ours = {"flow_runs": {"tags": {"all_": ["run:felled"]}}}
    found = until(lambda: len(runs := up.post("/flow_runs/filter", ours)) > 1 and runs)
    [run_id] = [run["id"] for run in found if run["parent_task_run_id"] is None]
    command.kill()
    command.wait()
    check_told_within_a_minute(up, run_id)


@pytest.mark.catalogue(of="kills beside a run")
@pytest.mark.parametrize("kill", [worker_and_run, server, machine, command])
def test_what_is_killed_with_its_run_is_told(
    kill: Callable[[Any, Services], None],
    up: Any,
    slow_service: str,
    slow_model: str,
    tmp_path: Path,
):
    kill(up, Services(slow_service, slow_model, tmp_path / "log"))
