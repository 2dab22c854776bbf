"""An attempt's check as the grind makes it: in the ledger, on the server, and never in its way."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from grindstone.flows.serving.login import VARIABLE, as_header
from grindstone.graduation import GraduationPolicy, GraduationService
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import ComplianceRow
from grindstone.records import Episode, Purpose, utc_now
from grindstone.resources import bundled
from grindstone.settings import GraduationSettings, GrindSettings, Profile

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]


def idle(home: Path, **more: Any) -> GrindSettings:
    """One attempt that does nothing."""
    given: dict[str, Any] = {
        "work_dir": home,
        "task_ids": ["crlf-kit"],
        "model_id": "rehearsal",
        "max_cycles": 1,
        "native_profile": Profile.NOP,
        "evolve_skills": False,
        "task_skill_mode": "off",
        "success_mode": "off",
    }
    return GrindSettings.model_validate(given | more)


async def events_of(api_url: str, name: str, agent_id: str) -> list[dict[str, Any]]:
    """Wait for events of a name on the server; it takes them in batches."""
    wanted = {
        "filter": {
            "event": {"name": [name]},
            "resource": {"id": [f"grindstone.agent.{agent_id}"]},
            "order": "ASC",
        }
    }
    async with httpx.AsyncClient(headers=as_header(os.environ[VARIABLE])) as client:
        for _ in range(120):
            answer = await client.post(f"{api_url}/events/filter", json=wanted)
            if found := answer.raise_for_status().json()["events"]:
                return list(found)
            await asyncio.sleep(0.25)
    raise AssertionError(f"no event {name}")


async def test_an_attempt_is_checked_and_told_of(prefect_server: str, tmp_path: Path) -> None:
    from grindstone.flows.grind import grind

    done = idle(tmp_path, run_key="once", agent_id="checked", native_profile=Profile.ORACLE)
    await grind(done)
    (made,) = Ledger(tmp_path).rows(Episode)
    (checked,) = Ledger(tmp_path).rows(ComplianceRow)
    assert (checked.episode_id, checked.pack, checked.score) == (made.episode_id, "conduct", 1.0)
    (event,) = await events_of(prefect_server, "grindstone.episode.recorded", "checked")
    assert event["payload"] == {
        "agent_id": "checked",
        "episode_id": made.episode_id,
        "task_id": "crlf-kit",
        "passed": True,
    }


async def test_a_check_that_cannot_be_made_costs_no_attempt(
    prefect_server: str, tmp_path: Path
) -> None:
    from grindstone.flows.grind import grind
    from grindstone.runs.progress import Note, Progress, watching

    told: list[Progress] = []
    (tmp_path / "policies").mkdir()

    def spoil(seen: Progress) -> None:  # once the run has looked at the rules
        (tmp_path / "policies" / "bad.yaml").write_text("name: bad\nsteps: 5\n")
        told.append(seen)

    with watching(spoil):
        await grind(idle(tmp_path, agent_id="unchecked"))
    (made,) = Ledger(tmp_path).rows(Episode)
    assert made.outcome.value == "failed"
    assert not Ledger(tmp_path).rows(ComplianceRow)
    (note,) = [item.text for item in told if isinstance(item, Note) and "not checked" in item.text]
    assert "bad.yaml: steps" in note


async def test_a_service_of_ones_own_examines_by_real_attempts(
    prefect_server: str, tmp_path: Path
) -> None:
    """Outside of any flow, as examples/graduation/edge_cases.py does."""
    from grindstone.flows.exam import examiner

    settings = GraduationSettings(
        work_dir=tmp_path, model_id="rehearsal", native_profile=Profile.NOP
    )
    policy = GraduationPolicy(name="p", rehearsals=True)
    service = GraduationService(tmp_path, policies=[policy], examiner=examiner(settings))
    await service.record_episode(
        agent_id="bob", episode_id="failed", success=False, started_at=utc_now()
    )
    task = bundled("examples/tasks") / "crlf-kit"
    await service.add_edge_case("failed", task, added_by="Grace")
    found = await service.run_graduation_exam("ada")
    assert (found["passed"], found["score"]) == (False, 0.0)
    assert [each.purpose for each in Ledger(tmp_path).rows(Episode) if each.agent_id == "ada"] == [
        Purpose.EXAM
    ]
