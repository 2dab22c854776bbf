"""Skills written by one call: a task's own, a shorter one, a draft from a success."""

import pytest
from evolve_script import attempt, skill

from grindstone.evolve import distill_bloated, draft_from_success, evolve_task_skill
from grindstone.settings import SuccessMode
from grindstone.skills.drafts import read_drafts

TASK = {"task_id": "ledger-1", "instruction": "Import the ledger.", "category": "data"}


@pytest.fixture
def bloated(workspace):
    with workspace.writing() as root:
        folder = root / "skills" / "tables"
        folder.mkdir()
        (folder / "SKILL.md").write_text(skill("tables", "Look again.\n" * 900))
        workspace.commit("a long skill")
    return workspace


async def test_a_task_skill_is_written_then_improved(evolver, model, workspace, observe):
    evolver.plays(skill("anything"))
    first = await evolve_task_skill(workspace, model=model, **TASK, step="run/ts-1")
    assert first.written == ("ledger-1",) and first.commit
    evolver.plays(skill("anything", "And mind the header."))
    second = await evolve_task_skill(
        workspace, model=model, **TASK, observation=observe(), step="run/ts-2"
    )
    assert second.written == ("ledger-1",)
    assert "ledger-import-7" in evolver.told() and "Look at the first line" in evolver.told()
    kept = workspace.library.task_skill("ledger-1")
    assert kept is not None and kept.version == "2" and "header" in kept.body


async def test_a_written_step_is_not_written_again(evolver, model, workspace):
    evolver.plays(skill("anything"))
    first = await evolve_task_skill(workspace, model=model, **TASK, step="run/ts-1")
    again = await evolve_task_skill(workspace, model=model, **TASK, step="run/ts-1")
    assert len(evolver.requests) == 1
    assert again.done_before and again.commit == first.commit and again.usage == first.usage


async def test_an_answer_that_leaks_is_asked_for_again_and_then_dropped(evolver, model, workspace):
    def leaks(_path: str, text: str) -> list[str]:
        return ["holds a number the tests compare with"] if "73918" in text else []

    before = workspace.snapshot()
    evolver.plays(skill("a", "It is 73918."), skill("a", "Still 73918."))
    result = await evolve_task_skill(workspace, model=model, **TASK, leaks=leaks)
    assert result.written == () and result.commit == ""
    assert result.problems == ("holds a number the tests compare with",)
    assert result.usage.output_tokens == 20
    assert workspace.snapshot() == before


async def test_a_task_skill_over_a_hundred_lines_is_refused(evolver, model, workspace):
    evolver.plays(skill("a", "\n" * 120 + "end"), skill("a"))
    result = await evolve_task_skill(workspace, model=model, **TASK)
    assert result.written == ("ledger-1",)
    assert "100" in evolver.told(1)


async def test_a_bloated_skill_is_shortened_and_a_short_one_left(evolver, model, bloated):
    evolver.plays(skill("tables"))
    result = await distill_bloated(bloated, model=model, step="run/d-1")
    assert result.written == ("tables",) and len(evolver.requests) == 1
    text = (bloated.root / "skills/tables/SKILL.md").read_text()
    assert len(text) < 1000 and "version" in text
    assert (await distill_bloated(bloated, model=model)).written == ()
    assert len(evolver.requests) == 1


async def test_a_distillation_that_is_no_skill_changes_nothing(evolver, model, bloated):
    before = bloated.snapshot()
    evolver.plays("sorry", "sorry")
    result = await distill_bloated(bloated, model=model)
    assert result.written == () and len(result.problems) == 1
    assert bloated.snapshot() == before


async def test_a_success_is_read_from_its_trajectory(evolver, model, workspace):
    evolver.plays(skill("tables"))
    result = await draft_from_success(
        workspace, model=model, **TASK, trajectory=attempt(), mode=SuccessMode.DRAFT_ONLY
    )
    assert "cut -d, -f1 in.csv" in evolver.told(0)
    assert result.written == ("tables",) and result.promoted == ()
    assert [(d.key, d.supporters) for d in read_drafts(workspace.root)] == [
        ("tables", ("ledger-1",))
    ]
    assert not (workspace.root / "skills/tables").exists()


async def test_a_draft_is_promoted_at_its_threshold(evolver, model, workspace):
    for task_id, promoted in (("t-1", ()), ("t-1", ()), ("t-2", ("tables",))):
        evolver.plays(skill("tables"))
        result = await draft_from_success(
            workspace,
            model=model,
            **(TASK | {"task_id": task_id}),
            trajectory=attempt(),
            mode=SuccessMode.GATED_PROMOTION,
            promotion_threshold=2,
        )
        assert result.promoted == promoted
    assert (workspace.root / "skills/tables/SKILL.md").is_file()
    assert read_drafts(workspace.root) == ()


async def test_no_draft_is_promoted_into_a_full_library(evolver, model, workspace):
    evolver.plays(skill("tables"))
    result = await draft_from_success(
        workspace,
        model=model,
        **TASK,
        trajectory=attempt(),
        mode=SuccessMode.GATED_PROMOTION,
        max_skills=4,
    )
    assert result.promoted == () and result.written == ("tables",)


@pytest.mark.parametrize(("mode", "asked"), [(SuccessMode.OFF, 0), (SuccessMode.DRAFT_ONLY, 1)])
async def test_nothing_to_carry_over_changes_nothing(evolver, model, workspace, mode, asked):
    evolver.plays("NOTHING")
    before = workspace.snapshot()
    await draft_from_success(workspace, model=model, **TASK, trajectory=attempt(), mode=mode)
    assert len(evolver.requests) == asked
    assert workspace.snapshot() == before
