"""An exam is what was added for it, taken by the agent, over all of it: nothing else counts."""

import json
import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graduation_support import Clock, fill, in_ledger, passing, work

from grindstone.errors import Cause, InfrastructureError, InputError, RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.decisions.edge_cases import EdgeCase
from grindstone.graduation.decisions.exam_pool import gone_cases, pool_of
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import ExamRule, Policy, PromotionStep
from grindstone.graduation.rules.scope import Scope
from grindstone.records import Outcome

EASY = PromotionStep(min_episodes=2, max_intervention_rate=1, min_constitutional_score=0)
STEPS = {level: EASY for level in Level if level is not Level.STUDENT}

ServiceAt = Callable[..., GraduationService]
AddCase = Callable[..., Any]


def policy(**more: Any) -> Policy:
    return Policy(name="p", steps=STEPS, **more)


@pytest.fixture
def add_case(edge_task: Path) -> AddCase:
    """Add a case of a task of that name, made of a failure of bob."""

    async def add(service: GraduationService, name: str, **more: Any) -> EdgeCase:
        folder = edge_task.with_name(name)
        shutil.copytree(edge_task, folder)
        (folder / "instruction.md").write_text(f"Do {name}.\n")
        told = {"episode_id": f"failed-{name}", "title": name, "agent_id": "bob", "success": False}
        failed = work(90) | told | more
        await service.record_episode(**failed)
        return await service.add_edge_case(f"failed-{name}", folder, added_by="Grace")

    return add


async def lapsed(service: GraduationService, clock: Clock) -> None:
    """Have an INTERN go on with another model, so that its level lapses."""
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")
    clock.now += timedelta(days=1)
    await service.record_episode(**work(5000, model="other", started_at=clock.now))
    await service.review(["ada"])
    assert service.registry.agent("ada").level is Level.STUDENT


def beside(case: EdgeCase, home: Path, name: str, **fields: Any) -> None:
    """Lay a case by hand: a copy of another one under another name."""
    folder = home / "edge_cases" / name
    shutil.copytree(home / "edge_cases" / case.case_id, folder)
    told = json.loads((folder / "case.json").read_text()) | {"case_id": name} | fields
    (folder / "case.json").write_text(json.dumps(told))


async def test_a_lapsed_level_comes_back_by_the_whole_exam_and_not_by_one_of_its_cases(
    service_at: ServiceAt, add_case: AddCase, clock: Clock, tmp_path: Path
) -> None:
    service = service_at(policy(), examiner=in_ledger(tmp_path / "home"))
    await fill(service, 3, model="one")
    easy, hard = await add_case(service, "easy"), await add_case(service, "hard")
    await lapsed(service, clock)
    await service.run_graduation_exam("ada", [easy.case_id], target_maturity="INTERN")
    assert service.registry.agent("ada").level is Level.STUDENT
    both = [easy.case_id, hard.case_id]
    await service.run_graduation_exam("ada", both, target_maturity="INTERN")
    assert service.registry.agent("ada").level is Level.INTERN


async def test_a_case_that_was_laid_by_hand_or_retired_is_no_exam(
    service_at: ServiceAt, add_case: AddCase, tmp_path: Path
) -> None:
    service = service_at(policy())
    await fill(service, 3)
    case = await add_case(service, "one")
    beside(case, tmp_path / "home", "by-hand")
    with pytest.raises(InputError, match="by-hand: was never added; expected one of one-"):
        await service.run_graduation_exam("ada", ["by-hand"])
    await service.retire_edge_case(case.case_id, by="Grace", reason="the law changed")
    with pytest.raises(InputError, match="was retired"):
        await service.run_graduation_exam("ada", [case.case_id])


async def test_no_case_answers_for_another(
    service_at: ServiceAt, add_case: AddCase, tmp_path: Path
) -> None:
    service = service_at(policy())
    await fill(service, 3)
    easy, hard = await add_case(service, "easy"), await add_case(service, "hard")
    beside(hard, tmp_path / "home", "a-first", episode_id=hard.case_id)
    pool = pool_of(service.registry, service.registry.policy("ada"), "ada")
    assert {case.case_id for case in pool.cases} == {easy.case_id, hard.case_id}


@pytest.mark.parametrize("what", ["files", "topics"])
async def test_a_case_that_lies_there_otherwise_than_it_was_added_stops_the_promotion(
    what: str, service_at: ServiceAt, add_case: AddCase, tmp_path: Path
) -> None:
    tax = Scope(topics=("tax",))
    service = service_at(policy(scope=tax), examiner=in_ledger(tmp_path / "home"))
    await fill(service, 3, topics=["tax"])
    case = await add_case(service, "one", topics=["tax"])
    await service.run_graduation_exam("ada")
    folder = tmp_path / "home" / "edge_cases" / case.case_id
    if what == "files":
        (folder / "one" / "instruction.md").write_text("Do nothing.\n")
    else:
        told = json.loads((folder / "case.json").read_text())
        told |= {"topics": [], "episode_id": "another"}
        (folder / "case.json").write_text(json.dumps(told))
    assert gone_cases(service.registry, service.registry.chain.events()) == (case.case_id,)
    with pytest.raises(RefusedError, match="no longer in the home as added"):
        await service.promote_agent("ada", "INTERN", "Grace")


async def test_one_case_named_twice_is_one(service_at: ServiceAt, add_case: AddCase) -> None:
    service = service_at(policy(exam=ExamRule(min_cases=2)))
    await fill(service, 3)
    case = await add_case(service, "one")
    found = await service.run_graduation_exam("ada", [case.case_id, case.episode_id])
    assert (found["passed"], len(found["cases"])) == (False, 1)


async def test_retakes_are_counted_where_the_workspace_is_not_known(
    service_at: ServiceAt, add_case: AddCase
) -> None:
    service = service_at(policy(), examiner=passing(Outcome.FAILED))
    await fill(service, 3)
    await add_case(service, "one")
    for _ in range(2):
        await service.run_graduation_exam("ada")
    service.examiner = passing()
    await service.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match="had failed it 2 times"):
        await service.promote_agent("ada", "INTERN", "Grace")


async def test_a_case_that_gave_way_hides_no_failure(
    service_at: ServiceAt, add_case: AddCase
) -> None:
    async def half(agent_id: str, cases: Sequence[EdgeCase]) -> list[Any]:
        gone = InfrastructureError(Cause.MODEL_SERVER, "gone")
        return [(await passing(Outcome.FAILED)(agent_id, cases))[0], gone]

    service = service_at(policy(), examiner=half)
    await fill(service, 3)
    await add_case(service, "one")
    await add_case(service, "two")
    for _ in range(2):
        await service.run_graduation_exam("ada")
    assert "rules out the mark" in service.registry.chain.events()[-1].reason
    service.examiner = passing()
    await service.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match="had failed it 2 times"):
        await service.promote_agent("ada", "INTERN", "Grace")


async def test_an_exam_counts_by_todays_mark_over_the_cases_that_count(
    service_at: ServiceAt, add_case: AddCase
) -> None:
    async def first_alone(agent_id: str, cases: Sequence[EdgeCase]) -> list[Any]:
        made = await passing()(agent_id, cases)
        failed = {"outcome": Outcome.FAILED, "score": 0.0}
        hard = ["hard" in each.case_id for each in cases]
        return [
            one.model_copy(update=failed) if is_hard else one
            for one, is_hard in zip(made, hard, strict=True)
        ]

    service = service_at(policy(exam=ExamRule(pass_mark=0.5)), examiner=first_alone)
    await fill(service, 3)
    cases = [await add_case(service, name) for name in ("easy", "hard")]
    assert (await service.run_graduation_exam("ada", [c.case_id for c in cases]))["passed"]
    for rule in (ExamRule(pass_mark=1.0), ExamRule(pass_mark=0.5, cases=("hard*",))):
        with pytest.raises(RefusedError, match="no exam for INTERN over all"):
            await service_at(policy(exam=rule)).promote_agent("ada", "INTERN", "Grace")
    await service.promote_agent("ada", "INTERN", "Grace")


@pytest.mark.parametrize("fields", [{"agent_id": "bob"}, {"task_id": "x"}, {"episode_id": "x"}])
async def test_an_examiner_passes_off_nothing_as_attempts_of_the_agent(
    fields: dict[str, str], service_at: ServiceAt, add_case: AddCase
) -> None:
    async def forged(agent_id: str, cases: Sequence[EdgeCase]) -> list[Any]:
        made = await passing()(agent_id, cases)
        return [each.model_copy(update=fields) for each in made]

    service = service_at(policy(), examiner=forged)
    await fill(service, 3)
    await add_case(service, "one")
    await add_case(service, "two")
    with pytest.raises(InputError, match="examiner"):
        await service.run_graduation_exam("ada")
    assert not service.registry.agent("ada").exams
