"""What a person decided in the UI is there after `down` and `up`."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = [
    pytest.mark.catalogue(of="what up keeps"),
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


def without_schedules(up: Any, *names: str) -> None:
    for name in names:
        deployment = up.deployment(name)
        for schedule in deployment["schedules"]:
            up.delete(f"/deployments/{deployment['id']}/schedules/{schedule['id']}")


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


def switch_trigger(up: Any, on: bool) -> None:
    """Switch the trigger that comes switched off; deploying makes it anew."""
    found = up.post("/automations/filter")
    [automation] = [each for each in found if "check-episode" in each["name"]]
    up.patch(f"/automations/{automation['id']}", {"enabled": on})


def test_down_and_up_leave_schedules_parameters_and_triggers_alone(up: Any):
    trying, gate = up.deployment("try-one-task"), up.deployment("gate")
    with switched(up, "grind", True), switched(up, "review", False):
        own = {"schedule": {"interval": 86400, "anchor_date": "2026-01-02T03:04:05Z"}}
        up.post(f"/deployments/{trying['id']}/schedules", [own | {"active": False}])
        settings = trying["parameters"]["settings"] | {"task_ids": ["crlf-kit"], "max_steps": 7}
        up.patch(f"/deployments/{trying['id']}", {"parameters": {"settings": settings}})
        up.patch(f"/deployments/{gate['id']}", {"paused": True, "concurrency_limit": 3})
        switch_trigger(up, on=True)
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
            switch_trigger(up, on=False)
            up.patch("/work_pools/grindstone", {"concurrency_limit": None})
            up.patch(f"/deployments/{gate['id']}", {"paused": False, "concurrency_limit": None})
            body = {"parameters": trying["parameters"], "schedules": []}
            up.patch(f"/deployments/{trying['id']}", body)


def test_a_newer_version_brings_its_schedules_and_leaves_alone_what_was_deleted(up: Any):
    """As if `compete` had had no schedule so far; while `weekly-review` lost its to the user."""
    delivered = up.home / "server" / "delivered.json"
    known = json.loads(delivered.read_text())
    assert known["schedules"]["compete"] == ["hourly"]
    without_schedules(up, "compete", "weekly-review")
    known["schedules"]["compete"] = []
    delivered.write_text(json.dumps(known | {"digest": "of an older file"}))
    before = decided(up)
    with switched(up, "grind", True):
        done = up.command("up", "--work-dir", str(up.home))
        assert done.returncode == 0, done.stderr
        assert "Already up; deploying what is new" in done.stderr
        [new] = up.deployment("compete")["schedules"]
        assert (new["slug"], new["active"], new["schedule"]["interval"]) == ("hourly", False, 3600)
        assert up.deployment("weekly-review")["schedules"] == []
        assert up.deployment("grind")["schedules"][0]["active"]
    after = decided(up)
    for name in ("compete",):
        assert before.pop(name)["parameters"] == after.pop(name)["parameters"]
    assert after == before
    assert json.loads(delivered.read_text())["schedules"]["compete"] == ["hourly"]
    again = up.command("up", "--work-dir", str(up.home))
    assert again.stderr.splitlines()[0] == "Already up."

    # Where nothing was written down, nobody can tell what is new: it comes switched off.
    delivered.unlink()
    without_schedules(up, "review")
    assert up.command("up", "--work-dir", str(up.home)).returncode == 0
    for name, slug in (("review", "every-5-minutes"), ("weekly-review", "monday-morning")):
        deployment = up.deployment(name)
        [new] = deployment["schedules"]
        assert (new["slug"], new["active"]) == (slug, False)
        path = f"/deployments/{deployment['id']}/schedules/{new['id']}"
        up.patch(path, {"active": True})


def test_another_port_and_another_server_are_told(up: Any):
    arguments = ("--work-dir", str(up.home), "--port", "1")
    done = up.command("up", *arguments, PREFECT_API_URL="http://elsewhere.test/api")
    assert done.returncode == 0, done.stderr
    assert "--port 1 is not used" in done.stderr
    assert "PREFECT_API_URL=http://elsewhere.test/api is not used" in done.stderr
    assert "Already up." in done.stderr
    assert up.ui in done.stdout
