"""What a person decided in the UI is there after `down` and `up`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

DECIDED = ("paused", "schedules", "parameters", "concurrency_limit", "job_variables")


@contextlib.contextmanager
def switched(up: Any, name: str, active: bool) -> Iterator[None]:
    """Switch a deployment's schedule, as its toggle in the UI does."""
    deployment = up.deployment(name)
    [schedule] = deployment["schedules"]
    path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
    up.patch(path, {"active": active})
    try:
        yield
    finally:
        [schedule] = up.deployment(name)["schedules"]
        path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
        up.patch(path, {"active": schedule["slug"] in ("every-5-minutes", "monday-morning")})


def decided(up: Any) -> dict[str, Any]:
    """What is the user's of every deployment, without what a new row is numbered with."""
    found = {
        item["name"]: {key: item[key] for key in DECIDED} for item in up.post("/deployments/filter")
    }
    for item in found.values():
        for schedule in item["schedules"]:
            for key in ("id", "created", "updated"):
                del schedule[key]
    return found


def triggers(up: Any) -> dict[str, bool]:
    return {item["name"]: item["enabled"] for item in up.post("/automations/filter")}


def test_down_and_up_leave_schedules_parameters_and_triggers_alone(up: Any):
    trying, gate = up.deployment("try-one-task"), up.deployment("gate")
    [automation] = up.post("/automations/filter")
    with switched(up, "grind", True), switched(up, "review", False):
        own = {"schedule": {"interval": 86400, "anchor_date": "2026-01-02T03:04:05Z"}}
        up.post(f"/deployments/{trying['id']}/schedules", [own | {"active": False}])
        settings = trying["parameters"]["settings"] | {"task_ids": ["crlf-kit"], "max_steps": 7}
        up.patch(f"/deployments/{trying['id']}", {"parameters": {"settings": settings}})
        up.patch(f"/deployments/{gate['id']}", {"paused": True, "concurrency_limit": 3})
        up.patch(f"/automations/{automation['id']}", {"enabled": True})
        up.patch("/work_pools/grindstone", {"concurrency_limit": 5})
        before, enabled = decided(up), triggers(up)
        try:
            assert up.command("down", "--work-dir", str(up.home)).returncode == 0
            done = up.command("up", "--work-dir", str(up.home))
            assert done.returncode == 0, done.stderr
            assert up.ui in done.stdout, "the home's last port is taken again"
            assert "Schedules: next grind" in done.stderr
            assert decided(up) == before
            assert before["grind"]["schedules"][0]["active"]
            assert not before["review"]["schedules"][0]["active"]
            assert triggers(up) == enabled
            assert set(enabled.values()) == {True}
            assert up.get("/work_pools/grindstone")["concurrency_limit"] == 5
        finally:
            [automation] = up.post("/automations/filter")
            up.patch(f"/automations/{automation['id']}", {"enabled": False})
            up.patch("/work_pools/grindstone", {"concurrency_limit": None})
            up.patch(f"/deployments/{gate['id']}", {"paused": False, "concurrency_limit": None})
            body = {"parameters": trying["parameters"], "schedules": []}
            up.patch(f"/deployments/{trying['id']}", body)


def test_another_port_and_another_server_are_told(up: Any):
    arguments = ("--work-dir", str(up.home), "--port", "1")
    done = up.command("up", *arguments, PREFECT_API_URL="http://elsewhere.test/api")
    assert done.returncode == 0, done.stderr
    assert "--port 1 is not used" in done.stderr
    assert "PREFECT_API_URL=http://elsewhere.test/api is not used" in done.stderr
    assert "Already up." in done.stderr
    assert up.ui in done.stdout
