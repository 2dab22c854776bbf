"""Skills written by one call: a task's own, a shorter one, a draft from a success."""

import pytest
from evolve_script import attempt, skill

from grindstone.evolve import (
    distill_bloated,
    draft_from_success,
    evolve_task_skill,
    promote_drafts,
)
from grindstone.evolve.guard import Guard
from grindstone.evolve.permissions import Check
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
    made = []

    async def guard() -> Check:
        made.append("guard")
        return lambda _path, text: (
            ["holds a number the tests compare with"] if "73918" in text else []
        )

    before = workspace.snapshot()
    evolver.plays(skill("a", "It is 73918."), skill("a", "Still 73918."))
    result = await evolve_task_skill(workspace, model=model, **TASK, leaks=Guard(guard))
    assert made == ["guard"]
    assert result.written == () and result.commit == ""
    assert [(each.path, each.rule, each.reason) for each in result.refusals] == [
        (
            "task_skills/ledger-1/SKILL.md",
            "no_direct_answers",
            "holds a number the tests compare with",
        )
    ]
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
    assert {"pre-evo-1", "evo-1"} <= set(bloated.repository.tags())
    assert [ref.message for ref in bloated.evolutions()] == ["Evolution 1: distil tables"]
    text = (bloated.root / "skills/tables/SKILL.md").read_text()
    assert len(text) < 1000 and "version" in text
    assert (await distill_bloated(bloated, model=model)).written == ()
    assert len(evolver.requests) == 1


async def test_a_distillation_that_is_no_skill_changes_nothing(evolver, model, bloated):
    before = bloated.snapshot()
    evolver.plays("sorry", "sorry")
    result = await distill_bloated(bloated, model=model)
    assert result.written == () and len(result.refusals) == 1
    assert bloated.snapshot() == before


async def test_a_success_is_read_from_its_trajectory(evolver, model, workspace):
    evolver.plays(skill("tables"))
    result = await draft_from_success(workspace, model=model, **TASK, trajectory=attempt())
    assert "cut -d, -f1 in.csv" in evolver.told(0)
    assert result.written == ("tables",) and result.evo_number == 0
    assert [(d.key, d.supporters) for d in read_drafts(workspace.root)] == [
        ("tables", ("ledger-1",))
    ]
    assert not (workspace.root / "skills/tables").exists()
    assert workspace.evolutions() == ()


async def drafted(evolver, model, workspace, task_id: str, text: str = "") -> None:
    evolver.plays(text or skill("tables"))
    about = TASK | {"task_id": task_id, "instruction": f"Total the ledger {task_id}."}
    await draft_from_success(workspace, model=model, **about, trajectory=attempt())


async def test_a_draft_is_promoted_at_its_threshold_as_an_evolution(evolver, model, workspace):
    for task_id, promoted in (("t-1", ()), ("t-1", ()), ("t-2", ("tables",))):
        await drafted(evolver, model, workspace, task_id)
        result = await promote_drafts(workspace, threshold=2)
        assert result.promoted == promoted
    assert result.supporters == {"tables": ("t-1", "t-2")}
    assert result.evo_number == 1
    assert {"pre-evo-1", "evo-1"} <= set(workspace.repository.tags())
    assert [ref.message for ref in workspace.history()] == ["Evolution 1: promote tables"]
    text = (workspace.root / "skills/tables/SKILL.md").read_text()
    assert "version" in text
    assert not (workspace.root / "skills/_drafts").exists()
    workspace.rollback("pre-evo-1")
    assert not (workspace.root / "skills/tables").exists()
    assert [draft.key for draft in read_drafts(workspace.root)] == ["tables"]


async def test_a_promotion_that_a_gate_rejected_is_not_made_again(evolver, model, workspace):
    await drafted(evolver, model, workspace, "t-1")
    assert (await promote_drafts(workspace)).promoted == ("tables",)
    workspace.rollback("pre-evo-1", weighed="rejected")
    tree = workspace.snapshot().tree
    again = await promote_drafts(workspace)
    assert again.promoted == () and again.evo_number == 0
    assert [each.rule for each in again.refusals] == ["rejected_before"]
    assert workspace.snapshot().tree == tree
    await drafted(evolver, model, workspace, "t-2", skill("tables", "And mind the header."))
    assert (await promote_drafts(workspace)).promoted == ("tables",), "it says something else now"


async def test_a_step_of_promotion_is_not_made_twice(evolver, model, workspace):
    await drafted(evolver, model, workspace, "t-1")
    first = await promote_drafts(workspace, step="run/promote")
    again = await promote_drafts(workspace, step="run/promote")
    assert again.done_before and again.commit == first.commit
    assert again.model_copy(update={"done_before": False}) == first


async def test_no_draft_is_promoted_into_a_full_library(evolver, model, workspace):
    await drafted(evolver, model, workspace, "t-1")
    assert (await promote_drafts(workspace, max_skills=4)).promoted == ()
    assert (workspace.root / "skills/_drafts/tables.md").is_file()


async def test_nothing_to_carry_over_changes_nothing_and_runs_no_solution(
    evolver, model, workspace
):
    async def guard() -> Check:
        raise AssertionError("there is no text to check")

    evolver.plays("NOTHING")
    before = workspace.snapshot()
    about = TASK | {"trajectory": attempt(), "leaks": Guard(guard)}
    await draft_from_success(workspace, model=model, **about)
    assert workspace.snapshot() == before
