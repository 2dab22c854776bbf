"""Promotion from the deployment's form: the run waits on its worker for a named person."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.object_storage import serving_s3

from grindstone.errors import InputError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.rules.levels import Level
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode, Purpose
from grindstone.resources import bundled
from grindstone.settings import FeedbackSettings

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


EXAMINES = b"""
name: asks
rehearsals: true
approval: ui
"""


def worked(
    service: GraduationService, agent_id: str, episodes: int, *, success: bool = True
) -> None:
    """Record clean live work."""
    for number in range(episodes):
        service.sync.record_episode(
            agent_id=agent_id,
            title=f"Work {number}",
            success=success,
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
    log = up.logs(run["id"])
    assert "A person's answer is needed: Resume, in the menu ⋮ of this run's page" in log
    assert "ada is INTERN now (event " in log


def test_an_agent_in_storage_is_examined_reviewed_and_promoted_by_a_worker_of_another_machine(
    up: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a run gets of this machine is the home's address alone; each has an empty cache."""
    with serving_s3(tmp_path) as bucket:
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        machines = (str(tmp_path / f"machine-{number}") for number in count())

        def go_on() -> GraduationService:
            monkeypatch.setenv("GRINDSTONE_CACHE_DIR", next(machines))
            return GraduationService(Home.at(f"{bucket.url}/team"))

        def start(name: str, **more: Any) -> str:
            cache = {"GRINDSTONE_CACHE_DIR": next(machines)}
            settings = {"work_dir": f"{bucket.url}/team", "agent_id": "ada", **more}
            asked = {
                "parameters": {"settings": settings},
                "job_variables": {"env": bucket.environment | cache},
            }
            path = f"/deployments/{up.deployment(name)['id']}/create_flow_run"
            return str(up.post(path, asked)["id"])

        here = go_on()
        assert here.registry.home.mirror is not None
        here.registry.home.mirror.store.put("policies/asks.yaml", EXAMINES)
        here = go_on()  # which has the policy
        worked(here, "ada", 12)
        worked(here, "bob", 1, success=False)
        [failed] = [row for row in here.registry.ledger.rows(Episode) if row.agent_id == "bob"]
        task = bundled("examples/tasks") / "crlf-kit"
        asyncio.run(here.add_edge_case(failed.episode_id, task, added_by="Grace"))
        by_heart = {"native_profile": "oracle", "sandbox": "bubblewrap"}
        exam = start("exam", **by_heart)
        assert up.finished(exam)["state_type"] == "COMPLETED", up.logs(exam)
        review = start("review")
        assert up.finished(review)["state_type"] == "COMPLETED", up.logs(review)
        due = go_on().registry.chain.events()[-1]
        assert (due.kind, due.agent_id) == (EventKind.PROPOSED, "ada")
        asked = start("graduate", ask=True)
        paused = up.until(asked, {"PAUSED", "COMPLETED", "FAILED", "CRASHED"})
        assert paused["state_type"] == "PAUSED", up.logs(asked)
        assert go_on().registry.agent("ada").level is Level.STUDENT
        answer = {"decision": "approve", "name": "Grace Hopper", "reason": "a clean record"}
        up.post(f"/flow_runs/{asked}/resume", {"run_input": answer})
        assert up.finished(asked)["state_type"] == "COMPLETED", up.logs(asked)
        registry = go_on().registry
        promoted = registry.agent("ada").changes[-1]
        assert (promoted.kind, promoted.by) == (EventKind.PROMOTED, "Grace Hopper")
        assert registry.agent("ada").level is Level.INTERN
        assert verify(registry.chain).intact
        rows = registry.ledger.rows(Episode)
        assert [row.passed for row in rows if row.purpose is Purpose.EXAM] == [True]


def test_a_persons_word_is_given_in_a_form_and_shown(up: Any):
    service = GraduationService(up.home)
    worked(service, "clerk", 1)
    (episode,) = (row for row in Ledger(up.home).rows(Episode) if row.agent_id == "clerk")
    form = up.deployment("feedback")["parameter_openapi_schema"]["properties"]["settings"]
    asked = {name: field.get("description") for name, field in form["properties"].items()}
    assert asked["name"] == "Your name; it goes into the trail."
    assert {"episode", "field", "original", "correction", "reason", "stars", "comment"} <= set(
        asked
    )
    given = {
        **{"episode": episode.episode_id[:10], "name": "Grace Hopper", "stars": 2},
        **{"field": "tax_rate", "original": "0.13", "correction": "0", "reason": "exempt"},
        "comment": "wrong on the tax",
    }
    told = up.start("feedback", {"settings": {"work_dir": str(up.home), **given}})
    assert up.finished(told)["state_type"] == "COMPLETED", up.logs(told)
    remarks = service.sync.get_graduation_audit_trail("clerk")["remarks"]
    (edit,) = remarks["corrections"]
    assert (edit["field"], edit["correction"], edit["by"]) == ("tax_rate", "0", "Grace Hopper")
    assert ("Grace Hopper", 0.4) in {(each["by"], each["rating"]) for each in remarks["ratings"]}
    [page] = up.post(
        "/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["graduation-clerk"]}}}
    )
    assert "| tax_rate | 0.13 | 0 | exempt | Grace Hopper |" in page["data"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"name": "Grace", "episode": "ep"}, "field, stars: are both empty"),
        ({"name": "n/a", "episode": "ep", "stars": 3}, "name: is 'n/a'"),
        ({"name": "Grace", "episode": "nowhere", "stars": 3}, "episode: names no attempt"),
    ],
)
async def test_a_form_that_says_too_little_is_refused(
    tmp_path: Path, given: dict[str, Any], problem: str
):
    from grindstone.flows.feedback import feedback

    with pytest.raises(InputError, match=problem):
        await feedback.fn(FeedbackSettings(work_dir=tmp_path, **given))
