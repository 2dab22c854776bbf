"""An exam gets no easier by what is missing from it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from graduation_support import fill, work
from typer.testing import CliRunner

from grindstone.benchmark import load_task
from grindstone.errors import InputError, RefusedError
from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.decisions.edge_cases import EdgeCase
from grindstone.graduation.rules.policy import ExamRule, Policy
from grindstone.ledger.tables.releases import TaskPartRow
from grindstone.records import Purpose

Make = Callable[..., GraduationService]


async def two_cases(service: GraduationService, edge_task: Path) -> tuple[EdgeCase, EdgeCase]:
    await fill(service, 12)
    for number in (98, 99):
        await service.record_episode(**work(number, agent_id="bob", success=False))
    hard = edge_task.with_name("quote-a-hard-one")
    shutil.copytree(edge_task, hard)
    (hard / "instruction.md").write_text("Quote a combine with a loan and a trade-in.\n")
    return (
        await service.add_edge_case("ep-98", edge_task, added_by="Grace"),
        await service.add_edge_case("ep-99", hard, added_by="Grace"),
    )


def train(service: GraduationService, case: EdgeCase) -> None:
    row = service.registry.episode("ep-1").model_copy(
        update={
            "episode_id": f"trained-{case.case_id}",
            "run_key": "grind-1",
            "purpose": Purpose.GRIND,
            "task_id": case.task_id,
            "task_digest": case.task_digest,
        }
    )
    service.registry.ledger.append([row], run_key="grind-1")


async def test_a_case_that_was_deleted_lets_no_exam_be_passed(
    service_at: Make, edge_task: Path, tmp_path: Path
) -> None:
    service = service_at()
    _, hard = await two_cases(service, edge_task)
    await service.run_graduation_exam("ada")
    shutil.rmtree(tmp_path / "home" / "edge_cases" / hard.case_id)
    with pytest.raises(InputError, match=f"{hard.case_id} of the edge cases that were added is no"):
        await service.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match=f"{hard.case_id} of the edge cases"):
        await service.promote_agent("ada", "INTERN", "Grace")
    where = ("--work-dir", str(tmp_path / "home"))
    seen = CliRunner().invoke(app, ["audit", "verify", *where])
    assert (seen.exit_code, f"Edge case {hard.case_id} was added" in seen.output) == (1, True)
    listed = CliRunner().invoke(app, ["exam", "list", *where])
    assert f"{hard.case_id:<48} was added, and is gone" in listed.output


async def test_a_named_human_retires_a_case_by_an_event(
    service_at: Make, edge_task: Path, tmp_path: Path
) -> None:
    service = service_at()
    easy, hard = await two_cases(service, edge_task)
    shutil.rmtree(tmp_path / "home" / "edge_cases" / hard.case_id)
    for by, reason, problem in (("", "old", "by"), ("Grace", " ", "reason")):
        with pytest.raises(InputError, match=problem):
            await service.retire_edge_case(hard.case_id, by=by, reason=reason)
    event = await service.retire_edge_case(hard.case_id, by="Grace", reason="the law changed")
    assert (event.kind, event.subject, event.by) == (
        EventKind.CASE_RETIRED,
        hard.case_id,
        "Grace",
    )
    with pytest.raises(InputError, match="is none that stands"):
        await service.retire_edge_case(hard.case_id, by="Grace", reason="again")
    exam = await service.run_graduation_exam("ada")
    assert [case["case_id"] for case in exam["cases"]] == [easy.case_id]
    seen = CliRunner().invoke(app, ["audit", "verify", "--work-dir", str(tmp_path / "home")])
    assert seen.exit_code == 0, seen.output
    await service.retire_edge_case(easy.case_id, by="Grace", reason="too easy")
    assert (await service.run_graduation_exam("ada"))["cases"] == []


async def test_what_training_took_out_is_said_and_too_much_of_it_is_no_exam(
    service_at: Make, edge_task: Path
) -> None:
    service = service_at()
    _, hard = await two_cases(service, edge_task)
    train(service, hard)
    exam = await service.run_graduation_exam("ada")
    assert exam["passed"]
    assert f"of 2 edge cases ada was trained on 1 ({hard.case_id})" in exam["reason"]
    kept = service.registry.chain.events()[-1]
    assert kept.evidence["trained_on"] == [hard.case_id]
    strict = service_at(Policy(name="strict", exam=ExamRule(min_share=0.75)))
    with pytest.raises(InputError, match="the policy asks for 75% of them"):
        await strict.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match="the policy asks for 75% of them"):
        await strict.promote_agent("ada", "INTERN", "Grace")


async def test_copies_of_a_task_are_one_case(service_at: Make, edge_task: Path) -> None:
    """Under another id, or in other words where the tests speak of the task."""
    service = service_at(Policy(name="two", exam=ExamRule(min_cases=2)))
    speaking = "# tractor farmer Ontario quote currency rebate\n"
    (edge_task / "instruction.md").write_text(f"{speaking} Tell each.\n")
    (edge_task / "tests" / "test.sh").write_text(f"{speaking}echo 1 > /logs/verifier/reward.txt\n")
    (edge_task / "environment" / "prices.csv").write_text("tractor,100\n")
    copy, worded = edge_task.with_name("a-copy"), edge_task.with_name("worded")
    for folder in (copy, worded):
        shutil.copytree(edge_task, folder)
    (worded / "instruction.md").write_text(f"{speaking} Say it all, please.\n")
    await fill(service, 12)
    made = []
    for number, folder in enumerate((edge_task, copy, worded), start=97):
        await service.record_episode(**work(number, agent_id="bob", success=False))
        made.append(await service.add_edge_case(f"ep-{number}", folder, added_by="Grace"))
    exam = await service.run_graduation_exam("ada")
    assert ([len(exam["cases"]), exam["passed"]]) == [1, False]
    named = await service.run_graduation_exam("ada", [case.case_id for case in made])
    assert (len(named["cases"]), named["passed"]) == (1, False)
    with pytest.raises(RefusedError, match="there are 1 edge cases to be examined on"):
        await service.promote_agent("ada", "INTERN", "Grace")


async def test_a_case_in_other_words_was_trained_on_as_well(
    service_at: Make, edge_task: Path
) -> None:
    service = service_at()
    easy, hard = await two_cases(service, edge_task)
    fingerprint = load_task(edge_task).fingerprint
    part = TaskPartRow(
        run_key="grind-1",
        task_id="w",
        task_digest="worded",
        fingerprint=fingerprint,
        part="learned",
    )
    service.registry.ledger.append([part], run_key="grind-1")
    train(service, hard.model_copy(update={"task_id": "w", "task_digest": "worded"}))
    exam = await service.run_graduation_exam("ada")
    assert [case["case_id"] for case in exam["cases"]] == [hard.case_id]
    assert easy.case_id in exam["reason"]
