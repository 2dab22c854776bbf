"""The check after each episode: what it finds, what it costs, what it survives."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from graduation_support import START

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import AuditEvent, EventKind
from grindstone.graduation.decisions.after_episode import IncrementalReview
from grindstone.graduation.rules.levels import Level
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.autonomy import ComplianceRow
from grindstone.records import (
    Episode,
    Outcome,
    Purpose,
    Step,
    StepKind,
    StopReason,
    Trajectory,
)

DID_NOTHING = Trajectory(
    steps=(Step(index=0, kind=StepKind.AGENT, message="Done.", at=START),),
    stop_reason=StopReason.SUBMITTED,
)


def episode(number: int, *, passed: bool = True, **more: object) -> Episode:
    """One attempt at a task, the `number`th."""
    at = START + timedelta(minutes=number)
    given = {
        "episode_id": f"ep-{number}",
        "run_key": "run",
        "agent_id": "ada",
        "purpose": Purpose.GRIND,
        "task_id": "quote",
        "task_digest": "d",
        "category": "builds",
        "difficulty": "easy",
        "outcome": Outcome.PASSED if passed else Outcome.FAILED,
        "started_at": at,
        "ended_at": at,
    }
    return Episode.model_validate(given | more)


def record(home: Path, made: Episode, skills: Sequence[str] = ()) -> None:
    uses = [
        SkillUseRow(episode_id=made.episode_id, skill=skill, selection_method="all", loaded=True)
        for skill in skills
    ]
    ledger = Ledger(home)
    ledger.append(uses, run_key=made.run_key)
    ledger.append([made], run_key=made.run_key)


async def attempts(
    home: Path, follower: IncrementalReview, made: Sequence[Episode], skills: Sequence[str] = ()
) -> list[AuditEvent]:
    """Make attempts one after another, each recorded and checked."""
    found: list[AuditEvent] = []
    for each in made:
        record(home, each, skills)
        found += await follower.after(each, DID_NOTHING, skills)
    return found


async def test_a_capability_rises_with_the_episode_that_earns_it(tmp_path: Path) -> None:
    follower = IncrementalReview(tmp_path)
    assert not await attempts(tmp_path, follower, [episode(i) for i in range(4)])
    fifth = episode(4)
    (event,) = await attempts(tmp_path, follower, [fifth])
    assert (event.kind, event.to_level) == (EventKind.CAPABILITY_CHANGED, Level.INTERN)
    assert event.evidence["successes"] == 5
    assert not await follower.after(fifth, DID_NOTHING, ())
    assert not await IncrementalReview(tmp_path).after(fifth, None, ())  # as a resumed run does
    assert len(Ledger(tmp_path).rows(ComplianceRow)) == 5


async def test_a_check_reads_nothing_of_the_record_until_something_changes(
    tmp_path: Path,
) -> None:
    follower = IncrementalReview(tmp_path)
    await attempts(tmp_path, follower, [episode(0)])
    damaged = Ledger(tmp_path).folder("episodes", "run") / f"{'0' * 64}.parquet"
    damaged.write_bytes(b"torn")  # whoever reads the table stumbles over it
    with pytest.raises(Exception, match="0000"):
        Ledger(tmp_path).rows(Episode)
    assert not await attempts(tmp_path, follower, [episode(i) for i in range(1, 4)])
    with pytest.raises(Exception, match="0000"):
        await attempts(tmp_path, follower, [episode(4)])
    damaged.unlink()
    (event,) = await follower.after(episode(4), DID_NOTHING, ())
    assert event.to_level is Level.INTERN


@pytest.mark.slow
async def test_a_streak_is_followed_whatever_order_the_attempts_end_in(tmp_path: Path) -> None:
    service = GraduationService(tmp_path)
    await service.enrol_agent(
        "ada", "AUTONOMOUS", by="Grace", second="Linus", reason="t", since=START
    )
    made = [episode(i, passed=i not in (3, 9)) for i in range(16)]
    Random(7).shuffle(made)
    follower = IncrementalReview(tmp_path)
    for each in made:
        await attempts(tmp_path, follower, [each], ["invoices"])
        own = await service.own_levels("ada")
        trail = service.registry.agent("ada")
        assert ("invoices" in trail.promoted_skills) == own.skills[0].earned
        assert trail.capability_levels.get("builds", Level.STUDENT) is own.of_capability("builds")
    assert trail.promoted_skills == {"invoices"}  # 10 to 15 are clean


async def test_what_another_process_wrote_counts_before_a_level_changes(tmp_path: Path) -> None:
    here, there = IncrementalReview(tmp_path), IncrementalReview(tmp_path)
    await attempts(tmp_path, here, [episode(0)])
    await attempts(tmp_path, there, [episode(i, run_key="other") for i in range(1, 5)])
    assert GraduationService(tmp_path).registry.agent("ada").capability_levels == {
        "builds": Level.INTERN
    }
    assert not await attempts(tmp_path, here, [episode(9)])  # knows of 2, sees the trail, reads 6


async def test_live_work_costs_the_level_at_once_and_training_does_not(tmp_path: Path) -> None:
    service = GraduationService(tmp_path)
    await service.enrol_agent(
        "ada", "SUPERVISED", by="Grace", second="Linus", reason="t", since=START
    )
    follower = IncrementalReview(tmp_path)
    failures = [episode(i, passed=False) for i in range(1, 4)]
    assert not await attempts(tmp_path, follower, failures)
    routed = [episode(i, passed=False, purpose=Purpose.ROUTE) for i in range(4, 7)]
    events = await attempts(tmp_path, follower, routed)
    assert [event.kind for event in events] == [EventKind.DEMOTED]
    assert events[0].reason == "3 failures in a row"
    assert service.registry.agent("ada").level is Level.INTERN


async def test_rehearsals_are_checked_and_earn_nothing(tmp_path: Path) -> None:
    follower = IncrementalReview(tmp_path)
    made = [episode(i, rehearsal=True) for i in range(6)]
    assert not await attempts(tmp_path, follower, made)
    assert len(Ledger(tmp_path).rows(ComplianceRow)) == 6


async def test_the_home_has_policies_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "quick.yaml").write_text(
        "name: quick\npacks: [legal]\ncapabilities: {intern: 2, supervised: 3, autonomous: 4}\n"
    )
    # The pack has a judged rule: without a judge it is the review's.
    assert not await attempts(tmp_path, IncrementalReview(tmp_path), [episode(i) for i in range(2)])
    assert not [row for row in Ledger(tmp_path).rows(ComplianceRow) if row.pack == "legal"]
    (folder / "quick.yaml").write_text(
        "name: quick\ncapabilities: {intern: 2, supervised: 3, autonomous: 4}\n"
    )
    (event,) = await IncrementalReview(tmp_path).after(episode(1), DID_NOTHING, ())
    assert (event.policy, event.to_level) == ("", Level.INTERN)


async def test_attempts_at_once_are_checked_one_by_one(tmp_path: Path) -> None:
    follower = IncrementalReview(tmp_path)
    made = [episode(i) for i in range(20)]
    for each in made:
        record(tmp_path, each)
    await asyncio.gather(*(follower.after(each, DID_NOTHING, ()) for each in made))
    events = GraduationService(tmp_path).registry.chain.events()
    assert events[-1].to_level is Level.SUPERVISED
