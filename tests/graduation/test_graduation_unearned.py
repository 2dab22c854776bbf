"""Nothing is given without what it asks for, and what is lost is lost at once."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graduation_support import Clock, fill, work

from grindstone.errors import InputError, RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import ExamRule, Policy, PromotionStep

ServiceAt = Callable[..., GraduationService]
EASY = PromotionStep(min_episodes=2, max_intervention_rate=1, min_constitutional_score=0)
STEPS = {level: EASY for level in Level if level is not Level.STUDENT}


def policy(**more: Any) -> Policy:
    return Policy(**{"name": "p", "steps": STEPS, "exam": ExamRule(required=False)} | more)


async def test_who_may_answer_is_who_the_home_lists_when_it_is_asked(
    service_at: ServiceAt, tmp_path: Path
) -> None:
    service = service_at(policy())
    await fill(service, 3)
    (tmp_path / "home" / "approvers.yaml").write_text("approvers:\n  - name: Linus\n")
    with pytest.raises(RefusedError, match="Grace is not among the approvers"):
        await service.promote_agent("ada", "INTERN", "Grace")
    await service.promote_agent("ada", "INTERN", "Linus")


async def test_who_refused_takes_it_back_however_the_name_is_written(service_at: ServiceAt) -> None:
    service = service_at(policy())
    await fill(service, 3)
    for name, said in (("Grace Hopper", False), ("grace hopper", True)):
        await service.answer_proposal("ada", "INTERN", approved=said, by=name)
    await service.promote_agent("ada", "INTERN", "Linus")


@pytest.mark.parametrize(
    "rule, said",
    [
        ({"approvers_needed": {"AUTONOMOUS": 2}}, "asks for 2 people"),
        ({"separate_duties": True}, "Grace rated its work"),
    ],
)
async def test_one_person_takes_no_agent_over_where_the_policy_asks_for_more(
    rule: dict[str, Any], said: str, service_at: ServiceAt
) -> None:
    service = service_at(policy(**rule))
    await fill(service, 3)
    with pytest.raises(RefusedError, match=said):
        await service.enrol_agent("ada", "AUTONOMOUS", by="Grace", reason="a good record")
    await service.enrol_agent("ada", "AUTONOMOUS", by="Grace", second="Linus", reason="a record")


async def test_a_skill_is_released_once_it_has_earned_it_and_until_it_fails(
    service_at: ServiceAt,
) -> None:
    service = service_at()

    async def used(first: int, *, count: int = 1, success: bool = True) -> Level:
        for number in range(first, first + count):
            told = work(number, skills=["quotes"], difficulty="easy", success=success)
            await service.record_episode(**told)
        return (await service.own_levels("ada")).skills[0].level

    with pytest.raises(InputError, match="has used no 'quotes'"):
        await service.release_skill("ada", "quotes", by="Grace", reason="trusted")
    await used(0)
    with pytest.raises(RefusedError, match="1 clean runs in a row of the 3"):
        await service.release_skill("ada", "quotes", by="Grace", reason="trusted")
    await used(1, count=2)
    await service.release_skill("ada", "quotes", by="Grace", reason="trusted")
    assert await used(4, success=False) is Level.STUDENT
    assert await used(5, count=3) is Level.STUDENT
    with pytest.raises(InputError, match="has no 'qoutes'"):
        await service.reset_capability("ada", "qoutes", by="Grace", reason="a new form")


async def test_bad_ratings_lower_a_capability_at_once(service_at: ServiceAt) -> None:
    service = service_at()
    for number in range(6):
        told = work(number, ratings=[], metadata={"capability": "filing"})
        await service.record_episode(**told)
    assert service.registry.agent("ada").capability_levels["filing"] is Level.INTERN
    for number in (3, 4, 5):
        await service.rate_episode(f"ep-{number}", stars=1, rated_by="Grace")
    assert service.registry.agent("ada").capability_levels["filing"] is Level.STUDENT


async def test_a_breach_in_imported_work_costs_the_level_at_once(
    service_at: ServiceAt, clock: Clock, tmp_path: Path
) -> None:
    service = service_at(policy())
    await service.enrol_agent("ada", "SUPERVISED", by="Grace", second="Linus", reason="known")
    row = {"agent_id": "ada", "success": True, "started_at": clock.now.isoformat()}
    row |= {"actions": [{"tool": "bash", "fields": {"command": "rm -rf /"}}]}
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(row) + "\n")
    await service.import_episodes(path, by="Grace")
    assert service.registry.agent("ada").level is Level.INTERN


async def test_failures_beyond_what_the_level_forgives_cost_it_though_none_follow_each_other(
    service_at: ServiceAt, clock: Clock
) -> None:
    held = EASY.model_copy(update={"min_episodes": 10, "min_success_rate": 0.8})
    service = service_at(policy(steps=STEPS | {Level.SUPERVISED: held}))
    await service.enrol_agent("ada", "SUPERVISED", by="Grace", second="Linus", reason="known")
    levels = []
    for number in range(6):
        told = work(number, success=number % 2 == 1) | {"started_at": clock.now}
        await service.record_episode(**told)
        levels.append(service.registry.agent("ada").level)
    # Two of ten may fail: the third failure, in the fifth episode, is one too many.
    assert levels == [Level.SUPERVISED] * 4 + [Level.INTERN] * 2
    assert "3 of the latest 5 episodes failed" in service.registry.chain.events()[-1].reason


async def test_a_level_that_was_given_before_the_model_was_known_lapses_with_it(
    service_at: ServiceAt, clock: Clock
) -> None:
    service = service_at(policy())
    await fill(service, 3)
    await service.promote_agent("ada", "INTERN", "Grace")
    levels = []
    for number, model in enumerate(("one", "one", "another"), start=100):
        clock.now += timedelta(days=1)
        await service.record_episode(**work(number, model=model) | {"started_at": clock.now})
        await service.review(["ada"])
        levels.append(service.registry.agent("ada").level)
    assert levels == [Level.INTERN, Level.INTERN, Level.STUDENT]


async def test_a_correction_says_what_was_wrong(service_at: ServiceAt) -> None:
    service = service_at()
    await service.record_episode(**work(1))
    with pytest.raises(InputError, match="field: is empty"):
        await service.record_intervention("ep-1", field=" ")
