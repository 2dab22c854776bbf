"""Runs on a worker: attempts sent to the work pool, credentials out of a saved block."""

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grindstone.home import Home
from grindstone.resources import bundled
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

PLANTED = "sk-ant-api03-planted-where-nobody-may-see-it"
QUICK = {
    "max_cycles": 1,
    "limit": 1,
    "evolve_skills": False,
    "task_skill_mode": "off",
    "success_mode": "off",
}


def test_every_entry_is_deployed_and_the_schedule_sleeps(up: Any):
    deployed = {item["name"]: item for item in up.post("/deployments/filter")}
    assert {"grind", "slice", "try-one-task"} <= deployed.keys()
    for item in deployed.values():
        assert item["description"]
        assert item["entrypoint"].startswith("grindstone.flows.")
        assert item["work_pool_name"] == "grindstone"
    for spends in ("grind", "adapt", "warrant"):
        [nightly] = deployed[spends]["schedules"]
        assert not nightly["active"]
        assert nightly["slug"] == "nightly"


@pytest.mark.catalogue(of="audits of a library")
def test_a_librarys_audit_on_a_worker_leaves_its_warrants(up: Any):
    settings = up.deployment("warrant")["parameters"]["settings"]
    few = {"task_ids": ["plain-inventory"], "model_id": "rehearsal", "max_attempts": 2}
    few |= {"never_loaded_after": 1}
    Workspace.create(Home(up.home).workspace("audited"), bundled("seed_workspaces/skillbench"))
    run = up.finished(up.start("warrant", {"settings": settings | few | {"agent_id": "audited"}}))
    assert run["state_type"] == "COMPLETED", up.logs(run["id"])
    kept = up.post("/artifacts/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    [page] = [item for item in kept if item["key"] == "warrants-audited"]
    assert "4 skills with a warrant: 4 never loaded; retired: data-formats, " in page["data"]


def test_up_again_changes_nothing(up: Any):
    before = (up.home / "server" / "server.json").read_bytes()
    done = up.command("up", "--work-dir", str(up.home))
    assert done.returncode == 0
    assert up.ui in done.stdout
    assert (up.home / "server" / "server.json").read_bytes() == before


def test_attempts_on_the_work_pool_equal_those_inline(up: Any):
    from grindstone.ledger import Ledger
    from grindstone.records import Episode

    common = ("--work-dir", str(up.home), "--native-profile", "oracle", "--agent-id", "pooled")
    tasks = ("--task-ids", "crlf-kit", "--task-ids", "branch-sales", "--max-cycles", "1")
    more = ("--batch-size", "2", "--max-workers", "2", "--task-skill-mode", "off")
    found = {}
    for dispatch in ("inline", "deployment"):
        done = up.command(
            *("grind", *common, *tasks, *more, "--success-mode", "off"),
            *("--dispatch", dispatch, "--run-key", dispatch),
        )
        assert done.returncode == 0, done.stderr
        found[dispatch] = {
            row.task_id: (row.outcome, row.reward, row.tests_passed, row.tests_total)
            for row in Ledger(up.home).rows(Episode, dispatch)
        }
    assert len(found["inline"]) == 2
    assert found["deployment"] == found["inline"]
    [sent] = slices(up, "deployment")
    assert sent["state_type"] == "COMPLETED"
    ours = {"flow_runs": {"parent_flow_run_id": {"any_": [sent["id"]]}}}
    runs = up.post("/flow_runs/filter", ours)
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    assert {run["name"][0] for run in runs} == {"✓"}
    assert len(runs) == 2
    assert list((up.home / "runs" / "deployment" / "slices").iterdir()) == []


def slices(up: Any, run_key: str) -> list[dict[str, Any]]:
    sent = {"flow_runs": {"tags": {"all_": [f"run:{run_key}"]}}, "sort": "EXPECTED_START_TIME_ASC"}
    found = up.post("/flow_runs/filter", sent)
    return [run for run in found if run["deployment_id"] == up.deployment("slice")["id"]]


@pytest.mark.catalogue(of="kills beside a run")
def test_a_slice_whose_process_is_killed_costs_what_it_had_not_finished(up: Any):
    from grindstone.ledger import Ledger
    from grindstone.records import Episode

    words = ["grind", "--work-dir", str(up.home), "--agent-id", "killed", "--run-key", "killed"]
    words += ["--native-profile", "oracle", "--task-skill-mode", "off", "--success-mode", "off"]
    words += ["--max-cycles", "1", "--max-workers", "1", "--dispatch", "deployment"]
    words += ["--task-ids", "crlf-kit", "--task-ids", "branch-sales", "--task-ids", "lost-commit"]
    words += ["--batch-size", "3", "--slice-size", "3", "--max-slices", "1"]
    ended: list[int] = []
    command = threading.Thread(target=lambda: ended.append(up.command(*words).returncode))
    command.start()
    deadline = time.monotonic() + 300
    while not Ledger(up.home).rows(Episode, "killed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [first] = slices(up, "killed")
    for path in Path("/proc").glob("[0-9]*/environ"):
        if f"PREFECT__FLOW_RUN_ID={first['id']}".encode() in content(path):
            os.kill(int(path.parent.name), signal.SIGKILL)
    before = Ledger(up.home).rows(Episode, "killed")
    command.join(300)
    assert ended == [0]
    sent = slices(up, "killed")
    assert [run["state_type"] for run in sent] == ["CRASHED", *["COMPLETED"] * (len(sent) - 1)]
    later = [len(run["parameters"]["work"]["attempts"]) for run in sent[1:]]
    assert 0 < sum(later) <= 3 - len(before), "what it lost, if that was not handed to another"
    after = {row.episode_id: row for row in Ledger(up.home).rows(Episode, "killed")}
    assert len(after) == 3
    assert {row.outcome.value for row in after.values()} == {"passed"}
    assert all(after[row.episode_id] == row for row in before), "what it had finished stands"


def test_wrong_input_is_told_in_a_sentence_and_a_typed_name_is_kept(up: Any):
    settings = {"work_dir": str(up.home), "which_tasks": {"category": ["none such"]}}
    path = f"/deployments/{up.deployment('grind')['id']}/create_flow_run"
    run = up.post(path, {"parameters": {"settings": settings}, "name": "my first run"})
    ended = up.finished(run["id"])
    assert (ended["state_type"], ended["state_name"]) == ("FAILED", "Refused")
    assert ended["name"] == "my first run"
    told = ended["state"]["message"]
    assert "none such" in told
    assert "expected" in told
    assert ended["total_run_time"] < 5, "seconds after the process has loaded"
    deadline = time.monotonic() + 30
    while told not in (log := up.logs(run["id"])):
        assert time.monotonic() < deadline, log
        time.sleep(0.5)
    assert "Traceback" not in log


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A Messages API that notes the keys it is called with."""
    import uvicorn
    from starlette.types import Receive, Scope, Send

    from grindstone.flows.serving.addresses import free_port
    from grindstone.rehearsal.server import app

    keys: list[str] = []
    answering = app()

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        sent = headers.get(b"x-api-key") or headers.get(b"authorization")
        if sent is not None:
            keys.append(sent.decode().removeprefix("Bearer "))
        await answering(scope, receive, send)

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(noting, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}", keys
    finally:
        server.should_exit = True
        thread.join()


def test_a_blocks_key_reaches_the_model_and_nothing_else(up: Any, asked: tuple[str, list[str]]):
    address, keys = asked
    data = {"model_id": "claude-sonnet-4-5", "api_key": PLANTED, "base_url": address}
    up.save_block("grindstone-model", "planted", data)
    run = up.post(
        f"/deployments/{up.deployment('grind')['id']}/create_flow_run",
        {
            "parameters": {
                "settings": {**QUICK, "work_dir": str(up.home), "agent_id": "keyed"},
                "blocks": {"model": "planted"},
            }
        },
    )
    finished = up.finished(run["id"])
    logs = up.logs(run["id"])
    assert finished["state_type"] == "COMPLETED", logs
    assert set(keys) == {PLANTED}
    assert PLANTED not in json.dumps(finished) + logs
    holding = [str(path) for path in files(up.home) if PLANTED.encode() in content(path)]
    assert holding == []


def files(folder: Path) -> list[Path]:
    return [Path(root, name) for root, _, names in os.walk(folder) for name in names]


def content(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


@pytest.mark.catalogue(of="agreed spending")
def test_a_ceiling_holds_on_the_worker_and_a_resumed_run_sends_the_attempt_again(up: Any):
    from grindstone.ledger import Ledger
    from grindstone.llm import CallRecord
    from grindstone.records import Episode

    def grind(ceiling: int) -> int:
        done = up.command(
            *("grind", "--work-dir", str(up.home), "--agent-id", "capped", "--run-key", "capped"),
            *("--task-ids", "plain-inventory", "--model-id", "rehearsal", "--max-cycles", "1"),
            *("--task-skill-mode", "off", "--success-mode", "off", "--dispatch", "deployment"),
            *("--max-tokens-total", str(ceiling)),
        )
        return int(done.returncode)

    assert grind(3000) == 1
    calls = Ledger(up.home).rows(CallRecord, "capped")
    assert sum(call.usage.total_tokens for call in calls) <= 3000
    assert grind(10**6) == 0
    [episode] = Ledger(up.home).rows(Episode, "capped")
    assert episode.outcome.value == "passed"
    after = {call.call_id for call in Ledger(up.home).rows(CallRecord, "capped")}
    assert {call.call_id for call in calls} < after
    states = [run["state_type"] for run in slices(up, "capped")]
    assert states == ["FAILED", "COMPLETED"]
