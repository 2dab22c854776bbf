"""The automation of the episode's event: off as delivered; once on, it starts a review."""

import time
from typing import Any

import httpx
import pytest

from grindstone.flows.serving.zombies import NAME, WITHIN_S

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

IDLE = (
    *("--model-id", "rehearsal", "--native-profile", "nop", "--task-ids", "crlf-kit"),
    *("--max-cycles", "1", "--evolve-skills", "false", "--task-skill-mode", "off"),
)


def switch(up: Any, automation_id: str, *, on: bool) -> None:
    httpx.patch(
        f"{up.ui}/api/automations/{automation_id}",
        json={"enabled": on},
        headers=up.headers,
        timeout=60,
    ).raise_for_status()


def reviews(up: Any) -> list[dict[str, Any]]:
    wanted = {"deployments": {"id": {"any_": [up.deployment("check-episode")["id"]]}}}
    found: list[dict[str, Any]] = up.post("/flow_runs/filter", wanted)
    return found


def test_up_delivers_who_watches_over_runs_elsewhere(up: Any):
    [found] = [each for each in up.post("/automations/filter") if each["name"] == NAME]
    assert found["enabled"] is True
    assert found["trigger"]["within"] == WITHIN_S


def test_an_episode_starts_a_review_of_its_agent_once_the_trigger_is_on(up: Any):
    (automation,) = [
        each for each in up.post("/automations/filter") if "check-episode" in each["name"]
    ]
    assert automation["enabled"] is False
    switch(up, automation["id"], on=True)
    try:
        done = up.command("grind", "--work-dir", str(up.home), "--agent-id", "watched", *IDLE)
        assert done.returncode in (0, 1), done.stderr
        deadline = time.monotonic() + 60
        while not (found := reviews(up)):
            assert time.monotonic() < deadline
            time.sleep(0.5)
    finally:
        switch(up, automation["id"], on=False)
    (run,) = found
    assert run["parameters"]["agent_id"] == "watched"
    assert len(run["parameters"]["episode_id"]) >= 16
    assert up.finished(run["id"])["state_type"] == "COMPLETED"
