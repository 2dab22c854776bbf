"""Promotion, demotion and review over a real ledger."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from graduation_support import START, fill, passing, work

from grindstone.errors import InputError, RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.decisions.edge_cases import case_ids
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import (
    DemotionRule,
    ExamRule,
    Policy,
)
from grindstone.records import Outcome

Make = Callable[..., GraduationService]
FREE = ExamRule(required=False)


async def test_promotion_with_everything_there(service_at: Make, edge_task: Path) -> None:
    service = service_at()
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace", description="forgot it")
    found = await service.calculate_readiness_score("ada", "INTERN")
    assert (found["ready"], found["gaps"]) == (True, [])
    exam = await service.run_graduation_exam("ada")
    assert (exam["passed"], exam["score"], exam["cost_usd"]) == (True, 100.0, 0.01)
    change = await service.promote_agent("ada", "INTERN", "Grace")
    assert (change["previous_maturity"], change["new_maturity"]) == ("STUDENT", "INTERN")
    assert service.registry.agent("ada").level is Level.INTERN
    again = await service.calculate_readiness_score("ada")
    assert (again["target_maturity"], again["episode_count"]) == ("SUPERVISED", 0)
    assert verify(service.registry.chain).intact


def lacking() -> list[Any]:
    """Each criterion, missing alone: what is changed, and the words of its gap."""
    return [
        pytest.param({"count": 9}, "1 more completed episodes", id="episodes"),
        pytest.param({"corrected": 6}, "were corrected", id="interventions"),
        pytest.param({"stated": 0.6}, "mean constitutional score is 0.600", id="constitution"),
        pytest.param({"critical": True}, "breached a critical rule", id="critical"),
        pytest.param({"unchecked": True}, "could not be checked", id="unchecked"),
        pytest.param({"dull": True}, "readiness score is", id="score"),
        pytest.param({"exam": False}, "no exam for INTERN", id="exam"),
        pytest.param({"cases": False}, "without cases no exam is passed", id="cases"),
        pytest.param({"by": ""}, "no named human", id="approval"),
        pytest.param({"by": "system"}, "no named human", id="approval-by-system"),
        pytest.param({"target": "SUPERVISED"}, "not the next level up", id="direction"),
    ]


@pytest.mark.parametrize(("lack", "gap"), lacking())
async def test_promotion_is_refused_for_each_criterion_missing_alone(
    service_at: Make, edge_task: Path, lack: dict[str, Any], gap: str
) -> None:
    service = service_at()
    total = lack.get("count", 12)
    odd: dict[str, Any] = {}
    if "stated" in lack:
        odd = {"constitutional_score": lack["stated"]}
    if lack.get("dull"):
        odd = {"confidence": None, "ratings": [], "skills": []}
    touched = lack.get("corrected", 0)
    await fill(service, total - touched, **odd)
    if touched:
        await fill(service, touched, first=50, human_intervention_count=1)
    if lack.get("critical"):
        await service.record_episode(
            **work(70, actions=[{"tool": "bash", "fields": {"command": "rm -rf /"}}])
        )
    if lack.get("unchecked"):
        await _unchecked(service)
    if lack.get("cases", True):
        await service.record_episode(**work(99, agent_id="bob", success=False))
        await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    if lack.get("exam", True):
        await service.run_graduation_exam("ada", target_maturity="INTERN")
    with pytest.raises(RefusedError, match=gap) as refused:
        await service.promote_agent("ada", lack.get("target", "INTERN"), lack.get("by", "Grace"))
    if "target" not in lack:
        assert str(refused.value).count("  - ") == 1
    assert service.registry.agent("ada").level is Level.STUDENT
    kinds = {event.kind for event in service.registry.chain.events()}
    assert EventKind.PROMOTED not in kinds


async def _unchecked(service: GraduationService) -> None:
    from grindstone.graduation.intake.recording import Work, keep, rows_for
    from grindstone.records import Purpose

    item = Work.model_validate(work(71))
    rows = rows_for(service.registry, item, run_key="raw", purpose=Purpose.ROUTE, now=START)
    keep(service.registry, [rows], run_key="raw")


async def test_all_that_is_missing_is_listed(service_at: Make) -> None:
    with pytest.raises(RefusedError) as refused:
        await service_at().promote_agent("nobody", "AUTONOMOUS", "")
    text = str(refused.value)
    for part in ("next level up", "episodes are needed", "without cases", "no named human"):
        assert part in text


async def test_unknown_levels_and_no_level_above(service_at: Make) -> None:
    service = service_at()
    with pytest.raises(InputError, match="one of STUDENT"):
        await service.promote_agent("ada", "MASTER", "Grace")
    await service.enrol_agent(
        "ada", "AUTONOMOUS", by="Grace", second="Linus", reason="came so", name="Ada"
    )
    with pytest.raises(InputError, match="AUTONOMOUS"):
        await service.calculate_readiness_score("ada")
    with pytest.raises(InputError, match="has a level already"):
        await service.enrol_agent("ada", "INTERN", by="Grace", reason="again")


async def test_an_exam_without_cases_or_with_failures_is_not_passed(
    service_at: Make, edge_task: Path
) -> None:
    service = service_at(examiner=passing(Outcome.FAILED))
    none = await service.run_graduation_exam("ada", [])
    assert (none["passed"], none["score"]) == (False, 0.0)
    assert "without cases" in none["reason"]
    await service.record_episode(**work(99, agent_id="bob", success=False))
    case = await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    failed = await service.run_graduation_exam("ada", [case.case_id])
    assert (failed["passed"], failed["cases"][0]["passed"]) == (False, False)
    broken = service_at(examiner=passing(Outcome.ERROR))
    unfinished = await broken.run_graduation_exam("ada", ["ep-99"])
    assert unfinished["passed"] is False
    assert "unfinished" in unfinished["reason"]
    with pytest.raises(InputError, match="does not exist"):
        await service.run_graduation_exam("ada", ["nowhere"])
    with pytest.raises(InputError, match="nobody can attempt"):
        await service_at(examiner=None).run_graduation_exam("ada")


async def test_only_failures_become_edge_cases_and_only_once(
    service_at: Make, edge_task: Path
) -> None:
    service = service_at()
    await service.record_episode(**work(1))
    with pytest.raises(InputError, match="succeeded uncorrected"):
        await service.add_edge_case("ep-1", edge_task, added_by="Grace")
    await service.record_intervention(
        "ep-1", field="tax_rate", original="0.13", correction="0.0", corrected_by="Grace"
    )
    one = await service.add_edge_case("ep-1", edge_task, added_by="Grace")
    two = await service.add_edge_case("ep-1", edge_task, added_by="Grace")
    assert one == two
    assert one.corrections == ("tax_rate: 0.13 → 0.0 ()",)
    assert case_ids(service.registry.home) == (one.case_id,)
    kinds = [event.kind for event in service.registry.chain.events()]
    assert kinds.count(EventKind.CASE_ADDED) == 1


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["at once", "by the review"])
async def test_demotion_for_breach_failures_and_lost_criteria(service_at: Make, late: bool) -> None:
    for number, (name, bad) in enumerate(
        {
            "breach": [{"actions": [{"tool": "bash", "fields": {"command": "rm -rf /"}}]}],
            "failures": [{"success": False}] * 3,
            "criteria": [{"human_intervention_count": 1}] + [{}] * 4,
        }.items()
    ):
        service = service_at(Policy(name="p", agents=(name,), exam=FREE))
        await service.enrol_agent(
            name, "AUTONOMOUS", by="Grace", second="Linus", reason="t", since=START
        )
        for index, item in enumerate(bad):
            position = 100 * number + index
            told = {"agent_id": name, "maturity": "AUTONOMOUS", **item}
            assert service.registry.agent(name).level is Level.AUTONOMOUS
            if late:
                await fill(service, 1, first=position, episode_id=f"ep-{position}", **told)
            else:
                await service.record_episode(**work(position, **told))
        if late:
            decision = (await service.review([name])).decisions[0]
            assert (decision.action, decision.level) == ("demoted", Level.SUPERVISED), name
        assert service.registry.agent(name).level is Level.SUPERVISED, name
        calm = (await service.review([name])).decisions[0]
        assert calm.action == "none"  # the new level starts with a clean slate


@pytest.mark.slow
async def test_a_rate_of_clean_runs_that_falls_costs_an_autonomous_agent_its_level(
    service_at: Make,
) -> None:
    """No three failures in a row, no breach, no correction: only the rate tells."""
    for watched in (True, False):
        name = "watched" if watched else "left-alone"
        rule = DemotionRule() if watched else DemotionRule(watch=None)
        service = service_at(Policy(name="p", agents=(name,), exam=FREE, demotion=rule))
        await service.enrol_agent(
            name, "AUTONOMOUS", by="Grace", second="Linus", reason="t", since=START
        )
        for number in range(30):
            told = {"agent_id": name, "maturity": "AUTONOMOUS", "success": number % 3 == 0}
            await fill(service, 1, first=number, episode_id=f"{name}-{number}", **told)
        decision = (await service.review([name])).decisions[0]
        assert decision.action == ("demoted" if watched else "none")
        if watched:
            last = list(service.registry.chain.events())[-1]
            assert "clean runs are rarer than 80%: 33% of 30" in last.reason


async def test_training_failures_do_not_demote(service_at: Make) -> None:
    from grindstone.graduation.intake.recording import Work
    from grindstone.records import Purpose

    service = service_at()
    await service.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="t", since=START)
    for number in range(4):
        item = Work.model_validate(work(number, success=False, maturity="INTERN"))
        await service.record_work(item, purpose=Purpose.GRIND)
    assert (await service.review()).decisions[0].action == "none"


async def test_demotion_may_only_be_proposed(service_at: Make) -> None:
    service = service_at(Policy(name="p", exam=FREE, demotion=DemotionRule(mode="propose")))
    await service.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="t", since=START)
    for number in range(3):
        await service.record_episode(**work(number, success=False, maturity="INTERN"))
    assert (await service.review()).decisions[0].action == "proposed"
    assert service.registry.agent("ada").level is Level.INTERN
    await service.review()
    kinds = [event.kind for event in service.registry.chain.events()]
    assert kinds.count(EventKind.PROPOSED) == 1  # proposing again says nothing new


@pytest.mark.slow
async def test_review_proposes_applies_and_waits_as_the_policy_says(service_at: Make) -> None:
    expected = {
        "none-apply": "promoted",
        "none-propose": "proposed",
        "named-apply": "approval_due",
        "ui-apply": "approval_due",
    }
    for name, action in expected.items():
        approval, mode = name.split("-")
        service = service_at(
            Policy(
                name="p",
                agents=(name,),
                exam=FREE,
                approval=approval,  # type: ignore[arg-type]
                promotion=mode,  # type: ignore[arg-type]
            )
        )
        await fill(service, 12, agent_id=name, episode_id="", title=name)
        assert (await service.review([name])).decisions[0].action == action
    examined = service_at(Policy(name="p", agents=("ex",)))
    await fill(examined, 12, agent_id="ex", episode_id="")
    assert (await examined.review(["ex"])).decisions[0].action == "exam_due"


async def test_approval_in_the_ui_is_what_opens(service_at: Make) -> None:
    service = service_at(Policy(name="p", exam=FREE, approval="ui"))
    await fill(service, 12)
    with pytest.raises(RefusedError, match="in the Prefect UI"):
        await service.promote_agent("ada", "INTERN", "Grace")
    await service.answer_proposal("ada", "INTERN", approved=True, by="Grace", channel="ui")
    await service.answer_proposal("ada", "INTERN", approved=False, by="Alan", channel="ui")
    with pytest.raises(RefusedError, match="in the Prefect UI"):
        await service.promote_agent("ada", "INTERN", "Grace")
    await service.answer_proposal("ada", "INTERN", approved=True, by="Grace", channel="ui")
    assert (await service.promote_agent("ada", "INTERN", "Grace"))["new_maturity"] == "INTERN"
    with pytest.raises(InputError, match="the name of the human"):
        await service.answer_proposal("ada", "INTERN", approved=True, by=" system ")
