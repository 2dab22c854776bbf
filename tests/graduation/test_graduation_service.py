"""Promotion, demotion, record and imports over a real ledger."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from graduation_support import START, Clock, fill, passing, work

from grindstone.errors import InputError, RefusedError
from grindstone.graduation import GraduationService, log_session
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.audit.trail import to_html, to_markdown
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.cases import case_ids
from grindstone.graduation.levels import Level
from grindstone.graduation.policy import (
    Criteria,
    DemotionRule,
    ExamRule,
    Policy,
    load_policies,
    load_policy,
    policy_for,
)
from grindstone.graduation.recording import SessionAction, SessionEdit, SessionEnd
from grindstone.graduation.scope import Scope
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
    assert service.desk.agent("ada").level is Level.INTERN
    again = await service.calculate_readiness_score("ada")
    assert (again["target_maturity"], again["episode_count"]) == ("SUPERVISED", 0)
    assert verify(service.desk.chain).intact


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
    assert service.desk.agent("ada").level is Level.STUDENT
    kinds = {event.kind for event in service.desk.chain.events()}
    assert EventKind.PROMOTED not in kinds


async def _unchecked(service: GraduationService) -> None:
    from grindstone.graduation.recording import Work, keep, rows_for
    from grindstone.records import Purpose

    item = Work.model_validate(work(71))
    rows = rows_for(service.desk, item, run_key="raw", purpose=Purpose.ROUTE, now=START)
    keep(service.desk, [rows], run_key="raw")


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
    await service.enrol_agent("ada", "AUTONOMOUS", by="Grace", reason="came so", name="Ada")
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
    assert case_ids(service.desk.home) == (one.case_id,)
    kinds = [event.kind for event in service.desk.chain.events()]
    assert kinds.count(EventKind.CASE_ADDED) == 1


async def test_interventions_add_up_edit_by_edit(service_at: Make) -> None:
    service = service_at()
    edits = [{"field": "rate", "original": "1", "correction": "2", "corrected_by": "Grace"}]
    await service.record_episode(**work(1, human_intervention_count=3, human_edits=edits))
    for reason in ("first", "second", "second"):
        await service.record_intervention(
            "ep-1", field="rate", reason=reason, timestamp=START + timedelta(hours=1)
        )
    trail = await service.get_graduation_audit_trail("ada")
    assert trail["total_interventions"] == 3 + 2  # the same correction twice is one
    assert trail["intervened_episodes"] == 1


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
        await service.enrol_agent(name, "AUTONOMOUS", by="Grace", reason="t", since=START)
        for index, item in enumerate(bad):
            position = 100 * number + index
            told = {"agent_id": name, "maturity": "AUTONOMOUS", **item}
            assert service.desk.agent(name).level is Level.AUTONOMOUS
            if late:
                await fill(service, 1, first=position, episode_id=f"ep-{position}", **told)
            else:
                await service.record_episode(**work(position, **told))
        if late:
            decision = (await service.review([name])).decisions[0]
            assert (decision.action, decision.level) == ("demoted", Level.SUPERVISED), name
        assert service.desk.agent(name).level is Level.SUPERVISED, name
        calm = (await service.review([name])).decisions[0]
        assert calm.action == "none"  # the new level starts with a clean slate


async def test_training_failures_do_not_demote(service_at: Make) -> None:
    from grindstone.graduation.recording import Work
    from grindstone.records import Purpose

    service = service_at()
    await service.enrol_agent("ada", "INTERN", by="Grace", reason="t", since=START)
    for number in range(4):
        item = Work.model_validate(work(number, success=False, maturity="INTERN"))
        await service.record_work(item, purpose=Purpose.GRIND)
    assert (await service.review()).decisions[0].action == "none"


async def test_demotion_may_only_be_proposed(service_at: Make) -> None:
    service = service_at(Policy(name="p", exam=FREE, demotion=DemotionRule(mode="propose")))
    await service.enrol_agent("ada", "INTERN", by="Grace", reason="t", since=START)
    for number in range(3):
        await service.record_episode(**work(number, success=False, maturity="INTERN"))
    assert (await service.review()).decisions[0].action == "proposed"
    assert service.desk.agent("ada").level is Level.INTERN
    await service.review()
    kinds = [event.kind for event in service.desk.chain.events()]
    assert kinds.count(EventKind.PROPOSED) == 1  # proposing again says nothing new


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


async def test_compliance_has_the_documented_keys(service_at: Make) -> None:
    service = service_at()
    await service.record_episode(
        **work(1, title="Invoice", metadata={"tax_rate": 0.2, "jurisdiction": "ON", "hst": 1})
    )
    found = await service.validate_constitutional_compliance("ep-1")
    assert (found["compliant"], found["score"], found["episode_id"]) == (False, 0.0, "ep-1")
    assert found["violations"][0]["rule"] == "CA-TAX-RATE"
    assert found["violations"][0]["pack"] == "canada-sales-tax"
    with pytest.raises(InputError, match="not in the ledger"):
        await service.validate_constitutional_compliance("ep-404")


async def test_audit_trail_has_the_documented_keys_and_pages(service_at: Make) -> None:
    service = service_at()
    await service.enrol_agent("ada", "INTERN", by="Grace", reason="t", name="Ada <b>", since=START)
    await fill(service, 5, maturity="STUDENT")
    await fill(service, 7, first=10, maturity="INTERN", human_intervention_count=1)
    trail = await service.get_graduation_audit_trail("ada")
    json.dumps(trail)
    assert trail["agent_name"] == "Ada <b>"
    assert trail["current_maturity"] == "INTERN"
    assert (trail["total_episodes"], trail["total_interventions"]) == (12, 7)
    assert trail["avg_constitutional_score"] == 1.0
    assert trail["episodes_by_maturity"]["STUDENT"] == 5
    recent = trail["recent_episodes"]
    assert len(recent) == 10
    assert recent[0]["id"] == "ep-16"
    assert set(recent[0]) >= {
        *("id", "title", "started_at", "human_intervention_count", "constitutional_score"),
    }
    record = await service.trail("ada")
    page = to_html(record)
    assert "<b>" not in page
    assert page.count("<svg") == 0  # plots are data, not markup
    assert page.count("data:image/svg+xml") == 2
    assert "http" not in page.split("</style>")[1].replace("http-equiv", "")
    assert "7 in 7 episodes" in to_markdown(record)


async def test_scope_counts_only_what_it_names(service_at: Make) -> None:
    service = service_at(Policy(name="p", scope=Scope(tags=("woodstock",))))
    await fill(service, 3, tags=["woodstock"])
    await fill(service, 4, first=10, tags=["guelph"], title="Woodstock Sale", topics=["hst"])
    count = (await service.calculate_readiness_score("ada"))["episode_count"]
    assert count == 3
    for scope, expected in (
        (Scope(title="^Woodstock Sale"), 4),
        (Scope(topics=("hst",)), 4),
        (Scope(), 7),
        (Scope(tags=("woodstock",), topics=("hst",)), 0),
    ):
        found = await service.calculate_readiness_score("ada", scope=scope)
        assert found["episode_count"] == expected


async def test_sessions_become_episodes(service_at: Make, tmp_path: Path) -> None:
    service = service_at()
    log_session(
        tmp_path / "home",
        "s/1",
        SessionAction(type="action", tool="quote", fields={"tax_rate": 0.13}, at=START),
    )
    with pytest.raises(InputError, match="0 lines of type end"):
        await service.create_episode_from_session("s/1", "ada", "A sale")
    log_session(
        tmp_path / "home", "s/1", SessionEdit(type="correction", field="tax_rate", original="0.05")
    )
    log_session(
        tmp_path / "home",
        "s/1",
        SessionEnd(
            type="end", success=True, metadata={"jurisdiction": "ON"}, at=START, topics=("hst",)
        ),
    )
    episode = await service.create_episode_from_session("s/1", "ada", "A sale")
    assert (episode.title, episode.topics) == ("A sale", ("hst",))
    found = await service.validate_constitutional_compliance(episode.episode_id)
    assert found["score"] == 1.0
    trail = await service.get_graduation_audit_trail("ada")
    assert trail["total_interventions"] == 1


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "agent_id": "other",
            "episode_id": f"imp-{i}",
            "title": f"Imported {i}",
            "success": True,
            "started_at": f"2026-02-0{i % 9 + 1}T10:30:00",
            "human_intervention_count": i % 2,
        }
        | more
        for i in range(count)
    ]


async def test_imports_are_whole_or_not_at_all(service_at: Make, tmp_path: Path) -> None:
    service = service_at()
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("\n".join(json.dumps(row) for row in rows(20)))
    lines = [json.dumps(row) for row in rows(20, agent_id="mallory")]
    lines[4] = "{not json"
    lines[7] = json.dumps(rows(1, success="perhaps")[0] | {"episode_id": "x"})
    lines[9] = lines[8]
    lines[11] = json.dumps(rows(1)[0] | {"episode_id": "y", "surprise": 1})
    bad.write_text("\n".join(lines))
    refused = await service.import_episodes(bad, by="Grace")
    assert (refused.accepted, refused.imported, refused.refused_count) == (False, 0, 4)
    assert [(item.row, item.field) for item in refused.refused] == [
        (5, ""),
        (8, "success"),
        (10, "episode_id"),
        (12, "surprise"),
    ]
    assert "mallory" not in service.desk.agents()
    report = await service.import_episodes(good, by="Grace")
    assert (report.accepted, report.imported) == (True, 20)
    again = await service.import_episodes(good, by="Grace")
    assert again.accepted
    trail = await service.get_graduation_audit_trail("other")
    assert (trail["total_episodes"], trail["total_interventions"]) == (20, 10)
    kinds = [event.kind for event in service.desk.chain.events()]
    assert kinds.count(EventKind.IMPORTED) == 1
    twin = tmp_path / "twin.jsonl"
    twin.write_text(json.dumps(rows(1)[0] | {"title": "other"}))
    assert (
        "is in the ledger already"
        in (await service.import_episodes(twin, by="Grace")).refused[0].problem
    )
    with pytest.raises(InputError, match="no such file"):
        await service.import_episodes(tmp_path / "none.jsonl", by="Grace")


async def test_import_from_parquet(service_at: Make, tmp_path: Path) -> None:
    path = tmp_path / "work.parquet"
    table = rows(6, metadata='{"jurisdiction": "ON", "tax_rate": 0.13}', topics=["hst"])
    pl.DataFrame(table).write_parquet(path)
    service = service_at()
    assert (await service.import_episodes(path, by="Grace")).imported == 6
    found = await service.calculate_readiness_score(
        "other", scope=Scope(metadata={"jurisdiction": "ON"})
    )
    assert found["episode_count"] == 6


async def test_skills_and_capabilities_follow_the_record(service_at: Make, clock: Clock) -> None:
    service = service_at()
    await service.enrol_agent("ada", "AUTONOMOUS", by="Grace", reason="t", since=START)
    for number in range(3):
        await service.record_episode(
            **work(number, skills=["tax"], difficulty="simple", metadata={"capability": "query"})
        )
    found = await service.own_levels("ada")
    assert (found.skills[0].earned, found.skills[0].level) == (True, Level.AUTONOMOUS)
    await fill(service, 2, first=10, metadata={"capability": "query"})
    assert (await service.own_levels("ada")).of_capability("query") is Level.INTERN
    assert (await service.own_levels("ada")).of_capability("shell") is Level.STUDENT
    await service.record_intervention("ep-2", field="x", corrected_by="Grace")
    kinds = [event.kind for event in service.desk.chain.events()]
    assert kinds.count(EventKind.SKILL_PROMOTED) == 1
    assert kinds.count(EventKind.SKILL_DEMOTED) == 1
    clock.now = START + timedelta(minutes=11)
    await service.reset_capability("ada", "query", by="Grace", reason="a complaint")
    assert (await service.own_levels("ada")).of_capability("query") is Level.STUDENT


async def test_unverified_outcomes_raise_no_capability(service_at: Make) -> None:
    service = service_at()
    claims = {"verified_by": "", "ratings": [], "metadata": {"capability": "query"}}
    await fill(service, 60, **claims)
    assert (await service.own_levels("ada")).capabilities == ()


def test_sync_twin_and_bundled_policies(service_at: Make) -> None:
    service = service_at()
    found = service.sync.calculate_readiness_score("ada", "INTERN")
    assert found["ready"] is False
    assert "10 more completed episodes are needed" in found["gaps"][0]
    with pytest.raises(AttributeError, match="awaits no method"):
        _ = service.sync.desk
    policies = load_policies()
    names = {policy.name for policy in policies}
    assert names == {"default", "medscribe", "woodstock", "tax-multi-province"}
    assert policy_for("medscribe_agent", policies).approval == "ui"
    assert policy_for("somebody", policies).name == "default"
    default = policy_for("somebody", policies)
    assert default.model_copy(update={"description": ""}) == Policy(name="default")


def test_bad_policies_name_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("name: p\nsteps: {INTERN: {min_episodes: 0}}\n")
    with pytest.raises(InputError, match=r"p\.yaml: steps\.INTERN\.min_episodes"):
        load_policy(path)
    path.write_text("name: p\nsurprise: 1\n")
    with pytest.raises(InputError, match="surprise"):
        load_policy(path)


def test_the_window_of_the_rates_is_never_below_what_is_asked() -> None:
    criteria = Criteria(
        min_episodes=50, max_intervention_rate=0, min_constitutional_score=1, latest=30
    )
    assert criteria.considered == 50
