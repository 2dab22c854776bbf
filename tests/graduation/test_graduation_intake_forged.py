"""What is told of work that cannot be so is refused by its field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graduation_support import START, work

from grindstone.errors import InputError
from grindstone.graduation import GraduationService
from grindstone.graduation.intake.recording import SessionAction, SessionEnd, log_session
from grindstone.graduation.rules.levels import Level

ServiceAt = Callable[..., GraduationService]
TO_COME = START.replace(year=9999)


@pytest.mark.parametrize(
    "given, field",
    [
        ({"confidence": True}, "confidence: is true or false"),
        ({"constitutional_score": False}, "constitutional_score: is true or false"),
        ({"human_intervention_count": False}, "human_intervention_count: is true or false"),
        ({"human_intervention_count": 10**30}, "human_intervention_count"),
        ({"ratings": [{"rated_by": "Grace", "stars": True}]}, "stars: is true or false"),
        ({"metadata": {"x": float("nan")}}, "metadata: holds NaN"),
        ({"metadata": {"x": "\ud800"}}, "metadata: holds half a character"),
        ({"actions": [{"tool": "t", "fields": {"x": float("inf")}}]}, "fields: holds Infinity"),
        ({"episode_id": "a\u2028b"}, "episode_id"),
        ({"episode_id": "a "}, "episode_id"),
        ({"episode_id": "x" * 201}, "episode_id"),
        ({"agent_id": "ada\u2028x"}, "agent_id"),
        ({"ended_at": TO_COME}, "ended_at: is 9999"),
        ({"actions": [{"text": "Done.", "at": TO_COME}]}, "actions: at: is 9999"),
        ({"human_edits": [{"field": "x", "timestamp": TO_COME}]}, "human_edits: timestamp: is 9"),
        ({"verified_by": " "}, "verified_by: is ' '"),
        ({"verified_by": "nobody"}, "verified_by: is 'nobody'"),
        ({"verified_by": "", "metadata": {"verified_by": False}}, "metadata: verified_by: is Fal"),
        ({"verified_by": "", "metadata": {"verified_by": "\u200b"}}, "verified_by"),
        ({"metadata": {"capability": ["filing"]}}, "metadata: capability: is"),
    ],
)
async def test_work_that_cannot_be_so_is_refused_by_its_field(
    given: dict[str, Any], field: str, service_at: ServiceAt
) -> None:
    service = service_at()
    with pytest.raises(InputError, match=field):
        await service.record_episode(**work(1) | given)
    assert not service.registry.agents()


async def test_no_verification_is_none_whatever_way_it_is_spelled(service_at: ServiceAt) -> None:
    service = service_at()
    for number in range(6):
        unverified = {"capability": "filing", "verified_by": None}
        told = work(number, ratings=[], verified_by="", metadata=unverified)
        await service.record_episode(**told)
    assert (await service.own_levels("ada")).of_capability("filing") is Level.STUDENT


async def test_a_correction_of_a_day_to_come_is_refused(service_at: ServiceAt) -> None:
    service = service_at()
    await service.record_episode(**work(1))
    with pytest.raises(InputError, match="timestamp: is 9999"):
        await service.record_intervention("ep-1", field="x", timestamp=TO_COME)


async def test_a_file_with_a_truth_value_for_a_number_stays_out(
    service_at: ServiceAt, tmp_path: Path
) -> None:
    row = {"agent_id": "ada", "success": True, "started_at": "2026-01-05T09:00:00Z"}
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(row | {"confidence": True}) + "\n")
    report = await service_at().import_episodes(path, by="Grace")
    assert [each.problem for each in report.refused] == [
        "confidence: is true or false, and no number or text"
    ]


async def test_a_session_is_told_once(service_at: ServiceAt, tmp_path: Path) -> None:
    service, home = service_at(), tmp_path / "home"
    log_session(home, "one", SessionAction(type="action", text="Here it is.", at=START))
    log_session(home, "one", SessionEnd(type="end", success=False, at=START))
    first = await service.create_episode_from_session("one", "ada", "Quote")
    assert await service.create_episode_from_session("one", "ada", "Quote") == first
    with pytest.raises(InputError, match="is kept already, as other work"):
        await service.create_episode_from_session("one", "ada", "Another quote")


async def test_work_told_under_two_ids_counts_once(service_at: ServiceAt, tmp_path: Path) -> None:
    service = service_at()
    await service.record_episode(**work(1))
    for changed in ({}, {"skills": ["other"], "ratings": []}):
        with pytest.raises(InputError, match="tells the work that ep-1 of run live-ada-202601"):
            await service.record_episode(**work(1) | {"episode_id": "again"} | changed)
    await service.record_episode(**work(1))  # told again as it was: nothing new
    bare = work(2, actions=[])
    await service.record_episode(**bare)
    with pytest.raises(InputError, match="tells the work that ep-2"):
        await service.record_episode(**bare | {"episode_id": "again"})
    await service.record_episode(**bare | {"episode_id": "ep-2b", "title": "Other work"})
    other = [{"tool": "present", "text": "Here is another."}]
    await service.record_episode(**work(1, episode_id="ep-1b", actions=other))
    await service.record_episode(**work(1, agent_id="eve", episode_id="of-eve"))
    for name in ("s-1", "s-2"):
        for line in (
            SessionAction(type="action", tool="look", at=START),
            SessionEnd(type="end", success=True, at=START),
        ):
            log_session(service.registry.home, name, line)
    await service.create_episode_from_session("s-1", "ada", "One")
    with pytest.raises(InputError, match="tells the work that"):
        await service.create_episode_from_session("s-2", "ada", "One")
    assert (await service.calculate_readiness_score("ada", "INTERN"))["episode_count"] == 5

    rows = [work(1, episode_id="x"), work(7, episode_id="y"), work(7, episode_id="z")]
    path = tmp_path / "history.jsonl"
    path.write_text("".join(f"{json.dumps(row, default=str)}\n" for row in rows))
    report = await service.import_episodes(path, by="Grace")
    assert [(each.row, each.problem) for each in report.refused] == [
        (1, "tells the work of 'ep-1', from run live-ada-202601"),
        (3, "tells the work of row 2 under another id"),
    ]
