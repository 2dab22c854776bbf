"""Promotion from the deployment's form: the run waits on its worker for a named person."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.rules.levels import Level

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

POLICY = """
name: asks
exam: {required: false}
approval: ui
"""


def worked(service: GraduationService, agent_id: str, episodes: int) -> None:
    """Record clean live work."""
    for number in range(episodes):
        service.sync.record_episode(
            agent_id=agent_id,
            title=f"Work {number}",
            success=True,
            started_at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number),
            confidence=1.0,
            skills=[f"skill-{number}"],
            ratings=[{"rated_by": "Grace", "stars": 5}],
            actions=[{"tool": "present", "text": "Here it is."}],
            verified_by="Grace",
        )


def test_a_promotion_waits_on_its_worker_for_an_answer(up: Any, tmp_path: Path):
    (tmp_path / "asks.yaml").write_text(POLICY)
    service = GraduationService(up.home, policies=tmp_path)
    worked(service, "ada", 12)
    settings = {
        "work_dir": str(up.home),
        "agent_id": "ada",
        "policies_dir": str(tmp_path),
        "ask": True,
    }
    run = up.post(
        f"/deployments/{up.deployment('graduate')['id']}/create_flow_run",
        {"parameters": {"settings": settings}},
    )
    paused = up.until(run["id"], {"PAUSED", "COMPLETED", "FAILED", "CRASHED"})
    assert paused["state_type"] == "PAUSED", up.logs(run["id"])
    assert service.registry.agent("ada").level is Level.STUDENT
    answer = {"decision": "approve", "name": "Grace Hopper", "reason": "a clean record"}
    up.post(f"/flow_runs/{run['id']}/resume", {"run_input": answer})
    assert up.finished(run["id"])["state_type"] == "COMPLETED", up.logs(run["id"])
    assert service.registry.agent("ada").level is Level.INTERN
    promoted = service.registry.agent("ada").changes[-1]
    assert (promoted.kind, promoted.by) == (EventKind.PROMOTED, "Grace Hopper")
    assert verify(service.registry.chain).intact
