"""A night in minutes: every schedule is on, and every run it promises happens.

`make drills` makes it ten minutes, GRINDSTONE_DRILL_MINUTES any other; without it, it is two.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow

MINUTES = float(os.environ.get("GRINDSTONE_DRILL_MINUTES", "2"))

pytestmark = [
    pytest.mark.drill,
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(MINUTES * 240 + 900),
]

MODEL = {"model_id": "rehearsal"}
TWO = MODEL | {"task_ids": ["crlf-kit", "branch-sales"], "max_cycles": 2}


class Shift(NamedTuple):
    """A deployment's part of the night."""

    every_s: int
    settings: dict[str, Any]


NIGHT = {
    "grind": Shift(100, TWO | {"agent_id": "night-grind"}),
    "adapt": Shift(100, TWO | {"agent_id": "night-adapt", "max_cycles": 1, "holdout_ratio": 0.5}),
    "compete": Shift(100, TWO | {"agent_id": "night-compete", "min_episodes": 1}),
    "review": Shift(30, {}),
    "weekly-review": Shift(60, {"weekly": True}),
}
SPENDING = ("grind", "adapt", "compete")


def reschedule(up: Any, deployment: dict[str, Any], schedules: list[dict[str, Any]]) -> None:
    """Give a deployment these schedules and no other."""
    path = f"/deployments/{deployment['id']}/schedules"
    for schedule in up.get(f"/deployments/{deployment['id']}")["schedules"]:
        up.delete(f"{path}/{schedule['id']}")
    up.post(
        path, [{key: item[key] for key in ("schedule", "active", "slug")} for item in schedules]
    )


def switch_on(up: Any, begin: datetime) -> None:
    """Shorten each deployment's schedule and switch it on; they begin ten seconds apart."""
    for number, (name, shift) in enumerate(NIGHT.items()):
        deployment = up.deployment(name)
        assert deployment["schedules"], f"{name} has no schedule to shorten"
        anchor = begin + timedelta(seconds=10 * number)
        schedule = {"interval": shift.every_s, "anchor_date": anchor.isoformat()}
        home = {"work_dir": str(up.home)}
        # Two runs of one agent would take turns in its workspace.
        body = {"parameters": {"settings": home | shift.settings}, "concurrency_limit": 1}
        up.patch(f"/deployments/{deployment['id']}", body)
        reschedule(up, deployment, [{"schedule": schedule, "active": True, "slug": "night"}])


def ticks(name: str, begin: datetime, end: datetime) -> list[datetime]:
    """When a deployment's runs are due in the night."""
    at, found = begin + timedelta(seconds=10 * list(NIGHT).index(name)), []
    while at < end:
        found.append(at)
        at += timedelta(seconds=NIGHT[name].every_s)
    return found


def runs_of(up: Any, name: str, end: datetime) -> dict[datetime, dict[str, Any]]:
    """The runs of a deployment's schedule by the time they were due."""
    wanted = {"deployments": {"id": {"any_": [up.deployment(name)["id"]]}}}
    found = {}
    for run in up.post("/flow_runs/filter", wanted):
        due = datetime.fromisoformat(run["expected_start_time"].replace("Z", "+00:00"))
        if run["auto_scheduled"] and due < end:
            found[due] = run
    return found


def take_limit_away(up: Any, deployment_id: str) -> None:
    """Wait for a deployment's last runs: Prefect fails one whose limit is gone when it ends."""
    wanted = {"deployments": {"id": {"any_": [deployment_id]}}}
    for run in up.post("/flow_runs/filter", wanted):
        if run["state_type"] != "SCHEDULED":
            up.finished(run["id"], patience_s=MINUTES * 180 + 300)
    up.patch(f"/deployments/{deployment_id}", {"concurrency_limit": None})


def test_everything_a_night_of_schedules_promises_happens(up: Any):
    before = {name: up.deployment(name) for name in NIGHT}
    worker_log = up.home / "server" / "worker.log"
    logged = worker_log.stat().st_size
    # The server makes the runs of a new schedule within seconds, and none for the past.
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=15)
    end = begin + timedelta(minutes=MINUTES)
    switch_on(up, begin)
    due = {name: ticks(name, begin, end) for name in NIGHT}
    made: dict[str, list[dict[str, Any]]] = {}
    keys: dict[str, set[str]] = {name: set() for name in NIGHT}
    try:
        time.sleep((end - datetime.now(UTC)).total_seconds())
        for name, times in due.items():
            found = runs_of(up, name, end)
            missing = [at.isoformat() for at in times if at not in found]
            assert not missing, f"{name}: no run was made for {missing}"
            made[name] = [found[at] for at in times]
        for name, runs in made.items():
            for run in runs:
                ended = up.finished(run["id"], patience_s=MINUTES * 180 + 300)
                told = f"{name} of {run['expected_start_time']}: {ended['state']['message']}"
                assert ended["state_type"] == "COMPLETED", f"{told}\n{up.logs(run['id'])}"
                keys[name] |= {tag for tag in ended["tags"] if tag.startswith("run:")}
    finally:  # not before: runs that wait for their turn would go with their schedule
        for deployment in before.values():
            reschedule(up, deployment, deployment["schedules"])
            up.patch(f"/deployments/{deployment['id']}", {"parameters": deployment["parameters"]})
    for deployment in before.values():
        take_limit_away(up, deployment["id"])
    rows = Ledger(up.home).rows(RunRow)
    for name in SPENDING:
        assert len(keys[name]) == len(due[name])
        for tag in keys[name]:
            own = [row for row in rows if f"run:{row.run_key}" == tag]
            last = max(own, key=lambda row: row.sequence)
            assert (last.kind, last.agent_id) == (name, f"night-{name}")
            assert last.status == "completed", last.note
    bad = up.post(
        "/logs/filter", {"logs": {"level": {"ge_": 40}, "timestamp": {"after_": begin.isoformat()}}}
    )
    assert not bad, [item["message"] for item in bad]
    with worker_log.open("rb") as opened:
        opened.seek(logged)
        new = opened.read().decode(errors="replace")
    assert "ERROR" not in new and "Traceback" not in new, new
