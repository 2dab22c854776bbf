"""Ways to a level, or past the check, that no ordinary record takes."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graduation_support import START, Clock, fill, work

from grindstone.benchmark import load_task
from grindstone.errors import InputError, RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import ExamRule, Policy

Make = Callable[..., GraduationService]
FREE = ExamRule(required=False)
BREACH = [{"tool": "bash", "fields": {"command": "rm -rf /"}}]


async def enrolled(service: GraduationService, **more: Any) -> None:
    await service.enrol_agent(
        "ada", "AUTONOMOUS", by="Grace", second="Linus", reason="t", **({"since": START} | more)
    )


async def test_work_of_the_future_is_no_record(service_at: Make, clock: Clock) -> None:
    """It would be the latest for ever, and hide whatever happens until then."""
    service = service_at(Policy(name="p", exam=FREE))
    clock.now = START
    with pytest.raises(InputError, match="started_at"):
        await service.record_episode(**work(1, started_at=START + timedelta(days=3650)))
    file = service.registry.home.root / "h.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    row = {"agent_id": "ada", "success": True, "started_at": "2036-01-05T09:00:00Z"}
    file.write_text(json.dumps(row) + "\n")
    report = await service.import_episodes(file, by="Grace")
    assert [each.field for each in report.refused] == ["started_at"]


async def test_nobody_holds_a_level_since_a_day_to_come(service_at: Make) -> None:
    """No episode would count until then, so nothing could take the level."""
    service = service_at()
    with pytest.raises(InputError, match="since"):
        await enrolled(service, since=START + timedelta(days=3650))


async def test_a_breach_costs_the_level_whatever_level_it_is_told_at(service_at: Make) -> None:
    service = service_at(Policy(name="p", exam=FREE))
    await enrolled(service)
    with pytest.raises(InputError, match=r"maturity.*ada was AUTONOMOUS"):
        await service.record_episode(**work(1, actions=BREACH, maturity="STUDENT"))
    await service.record_episode(**work(1, actions=BREACH, maturity="AUTONOMOUS"))
    assert service.registry.agent("ada").level is Level.SUPERVISED


async def test_a_task_under_way_when_the_level_is_given_can_cost_it(
    service_at: Make, clock: Clock
) -> None:
    service = service_at(Policy(name="p", exam=FREE))
    await fill(service, 12)
    clock.now = START + timedelta(hours=2)
    await service.promote_agent("ada", "INTERN", "Grace")
    clock.now = START + timedelta(hours=5)
    began, ended = START + timedelta(hours=1), START + timedelta(hours=4)
    await service.record_episode(**work(99, actions=BREACH, started_at=began, ended_at=ended))
    assert service.registry.agent("ada").level is Level.STUDENT


async def test_an_agent_neither_rates_nor_verifies_itself(service_at: Make) -> None:
    service = service_at()
    await fill(service, 1, agent_id="bob")
    for flaw in (
        {"ratings": [{"rated_by": "ada", "stars": 5}]},
        {"ratings": [{"rated_by": "Bob", "stars": 5}]},
        {"verified_by": "ADA"},
        {"verified_by": "", "metadata": {"verified_by": "ada"}},
        {"ratings": [{"rated_by": "n/a", "stars": 5}]},
    ):
        with pytest.raises(InputError, match=r"rated_by|verified_by"):
            await service.record_episode(**work(1, **flaw))
    await service.record_episode(**work(1))
    with pytest.raises(InputError, match="is an agent"):
        await service.rate_episode("ep-1", stars=5, rated_by="ada")


async def test_an_answer_counts_while_its_person_may_give_it(
    service_at: Make, tmp_path: Path
) -> None:
    policy = Policy(name="p", exam=FREE, approval="ui")
    service = service_at(policy)
    await fill(service, 12)
    await service.answer_proposal("ada", "INTERN", approved=True, by="Mallory", channel="ui")
    (tmp_path / "home" / "approvers.yaml").write_text("approvers: [{name: Grace}]\n")
    with pytest.raises(RefusedError, match="Mallory is not among the approvers"):
        await service_at(policy).promote_agent("ada", "INTERN", "")


async def test_an_unsigned_answer_counts_for_nobody_with_a_key(
    service_at: Make, tmp_path: Path
) -> None:
    policy = Policy(name="p", exam=FREE, approval="ui")
    service = service_at(policy)
    await fill(service, 12)
    await service.answer_proposal("ada", "INTERN", approved=True, by="Grace", channel="ui")
    key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
    (tmp_path / "home" / "approvers.yaml").write_text(
        f"approvers: [{{name: Grace, public_key: {key}}}]\n"
    )
    with pytest.raises(RefusedError, match="Grace has a key"):
        await service_at(policy).promote_agent("ada", "INTERN", "")


async def test_who_imported_a_thousand_agents_work_approves_none_of_them(
    service_at: Make,
) -> None:
    service = service_at(Policy(name="p", exam=FREE, separate_duties=True))
    rows = [
        {"agent_id": f"a-{n:04}", "success": True, "started_at": START.isoformat()}
        for n in range(1001)
    ]
    rows.append({"agent_id": "zed", "success": True, "started_at": START.isoformat()})
    file = service.registry.home.root / "h.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (await service.import_episodes(file, by="Linus")).accepted
    with pytest.raises(RefusedError, match="Linus imported the agent's work"):
        await service.promote_agent("zed", "INTERN", "Linus")


async def test_a_case_made_easier_in_the_home_is_no_case(
    service_at: Make, edge_task: Path, tmp_path: Path
) -> None:
    service = service_at(Policy(name="p"))
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    case = await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    folder = tmp_path / "home" / "edge_cases" / case.case_id
    (folder / case.task_id / "instruction.md").write_text("Do nothing.\n")
    told = json.loads((folder / "case.json").read_text())
    told["task_digest"] = load_task(folder / case.task_id).digest
    (folder / "case.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=f"{case.case_id}.* no longer in the home as"):
        await service.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match=case.case_id):
        await service.promote_agent("ada", "INTERN", "Grace")


async def test_a_case_that_nobody_added_is_none(
    service_at: Make, edge_task: Path, tmp_path: Path
) -> None:
    service = service_at(Policy(name="p"))
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    for path in (tmp_path / "home" / "audit").glob("*"):  # as laid into another home by hand
        if path.is_file():
            path.unlink()
    (tmp_path / "home" / "audit-end.json").unlink(missing_ok=True)
    service = service_at(Policy(name="p"))
    await service.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match="0 edge cases"):
        await service.promote_agent("ada", "INTERN", "Grace")
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")


async def test_the_latest_rating_of_a_person_stands(service_at: Make) -> None:
    service = service_at()
    await service.record_episode(**work(1, ratings=[]))
    for stars in (5, 1):
        await service.rate_episode("ep-1", stars=stars, rated_by="Grace")
    rated = (await service.assess("ada")).record.rated_well
    assert rated == 0


async def test_an_episode_told_twice_otherwise_is_refused(service_at: Make) -> None:
    """The second telling would be lost, or count beside the first."""
    service = service_at()
    await service.record_episode(**work(1))
    await service.record_episode(**work(1))  # the very same: nothing new
    for other in (
        {"success": False},
        {"started_at": START - timedelta(days=60)},
        {"agent_id": "bob"},
    ):
        with pytest.raises(InputError, match=r"ep-1.*is kept already"):
            await service.record_episode(**work(1, **other))


async def test_an_answer_that_could_not_count_is_refused(service_at: Make) -> None:
    asked = {
        ("ui", "INTERN", "api"): "channel",
        ("none", "INTERN", "api"): "p asks nobody",
        ("named", "AUTONOMOUS", "api"): "is not the next level up from STUDENT",
        ("named", "STUDENT", "api"): "is not the next level up from STUDENT",
    }
    for (approval, target, channel), why in asked.items():
        service = service_at(Policy(name="p", exam=FREE, approval=approval))
        with pytest.raises(InputError, match=why):
            await service.answer_proposal("ada", target, approved=True, by="Grace", channel=channel)


async def test_a_name_that_may_not_validate_is_not_passed_over(service_at: Make) -> None:
    """Though others have approved, the trail would be silent on who asked."""
    service = service_at(Policy(name="p", exam=FREE))
    await fill(service, 12)
    await service.answer_proposal("ada", "INTERN", approved=True, by="Linus")
    for name in ("ada", "n/a"):
        with pytest.raises(RefusedError, match="validated_by"):
            await service.promote_agent("ada", "INTERN", name)
    await service.promote_agent("ada", "INTERN", "")
