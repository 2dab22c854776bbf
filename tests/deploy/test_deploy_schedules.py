"""Schedules: their runs are made, taken and leave what a run leaves; and it is said when not."""

import contextlib
import json
import sqlite3
import time
from typing import Any

import pytest

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

PATIENCE_S = 240


def scheduled_runs(up: Any, deployment_id: str) -> list[dict[str, Any]]:
    wanted = {"deployments": {"id": {"any_": [deployment_id]}}}
    return [run for run in up.post("/flow_runs/filter", wanted) if run["auto_scheduled"]]


def test_a_schedule_of_seconds_makes_a_run_that_leaves_its_artifacts(up: Any):
    deployment = up.deployment("try-one-task")
    settings = deployment["parameters"]["settings"]
    often = {
        "schedule": {"interval": 20},
        "active": True,
        "parameters": {"settings": settings | {"agent_id": "nightly", "model_id": "rehearsal"}},
    }
    up.post(f"/deployments/{deployment['id']}/schedules", [often])
    try:
        deadline = time.monotonic() + PATIENCE_S
        begun: list[dict[str, Any]] = []
        while not begun:
            assert time.monotonic() < deadline, scheduled_runs(up, deployment["id"])
            time.sleep(0.5)
            runs = scheduled_runs(up, deployment["id"])
            begun = [run for run in runs if run["state_type"] not in ("SCHEDULED", "PENDING")]
    finally:
        up.patch(f"/deployments/{deployment['id']}", {"schedules": []})  # and what is not begun
    done = up.finished(begun[0]["id"])
    assert done["state_type"] == "COMPLETED", up.logs(done["id"])
    kept = up.post("/artifacts/filter", {"flow_runs": {"id": {"any_": [done["id"]]}}})
    assert {item["key"] for item in kept} >= {"report-nightly", "verdicts-nightly"}
    assert list(up.home.glob("runs/grind-*/report.md"))


def alter(up: Any, statement: str) -> None:
    """Change the server's database beneath it."""
    path = up.home / "server" / "prefect.db"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
        database.execute(statement)
        database.commit()


def test_doctor_tells_the_next_runs_and_what_is_wrong(up: Any):
    def schedules() -> dict[str, Any]:
        done = up.command("doctor", "--work-dir", str(up.home), "--json")
        [found] = [item for item in json.loads(done.stdout)["tools"] if item["name"] == "schedules"]
        return dict(found)

    found = schedules()
    assert found["works"], found
    assert "next review 20" in found["detail"]
    # A scheduler that makes no runs: its insert is refused, as by an unfit SQLAlchemy.
    refuse = (
        "CREATE TRIGGER refused BEFORE INSERT ON flow_run WHEN NEW.auto_scheduled "
        "BEGIN SELECT RAISE(IGNORE); END"
    )
    alter(up, refuse)
    try:
        for name in ("review", "weekly-review"):
            for run in scheduled_runs(up, up.deployment(name)["id"]):
                if run["state_type"] == "SCHEDULED":
                    up.delete(f"/flow_runs/{run['id']}")
        deadline = time.monotonic() + PATIENCE_S  # a schedule that has just changed is waited for
        silent = "no run is made for the schedules of review, weekly-review"
        while silent not in (found := schedules()).get("reason", ""):
            assert time.monotonic() < deadline, found
        assert "server.log" in found["reason"]
        done = up.command("up", "--work-dir", str(up.home))
        assert done.returncode == 3
        assert f"up at {up.ui}, but no run is made" in done.stderr
    finally:
        alter(up, "DROP TRIGGER refused")
