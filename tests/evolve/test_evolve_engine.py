"""The engine as the documents call it: idempotent, serial, usable with and without a loop."""

import asyncio
import json
import shutil

import pytest
from evolve_script import Evolver, skill, write
from starlette.responses import JSONResponse

from grindstone.errors import GrindstoneError, InputError
from grindstone.evolve import AEvolveEngine, EvolutionEngine, EvolveConfig
from grindstone.evolve.engine import last_refusals
from grindstone.evolve.prompts import step_prompt
from grindstone.observe import JudgeVerdict
from grindstone.resources import bundled
from grindstone.sandbox import open_provider, probe
from grindstone.settings import EvolveScope, SuccessMode
from grindstone.skills.drafts import support
from grindstone.skills.format import parse_skill
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.workspace import Workspace


@pytest.mark.sandbox
def test_the_documents_own_call_works_against_the_rehearsal(workspace, observe):
    if not (probe().can_run_tasks):
        pytest.skip("neither Docker nor bubblewrap works here")
    config = EvolveConfig(
        evolver_model="rehearsal",
        evolve_skills=True,
        evolve_memory=False,
        evolve_prompts=False,
        extra={"region": "us-west-2"},
    )
    seen = observe().model_copy(
        update={"instruction": "Convert the semicolon CSV export in cp1252 encoding to JSON."}
    )
    result = AEvolveEngine(config).evolve(
        workspace=workspace, observation_logs=[seen], evo_number=3
    )
    assert result["skills_before"] == 4
    assert result["skills_after"] == 4 + len(result["skills_added"]) > 4
    assert result["usage"]["output_tokens"] > 0
    assert result.rehearsal and result.tag == "evo-3"
    with pytest.raises(KeyError):
        result["no_such_field"]


async def test_a_step_is_done_once(evolver, model, any_provider, workspace, observe):
    evolver.plays(write("skills/tables/SKILL.md", skill("tables")))
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    first = await engine.aevolve(workspace, [observe()], step="run/batch-1")
    asked = len(evolver.requests)
    again = await engine.aevolve(Workspace.open(workspace.root), [observe()], step="run/batch-1")
    assert len(evolver.requests) == asked
    assert again.done_before
    assert again == first.model_copy(update={"done_before": True})
    assert len(workspace.evolutions()) == 1


async def test_a_killed_step_asks_for_nothing_that_was_paid(
    evolver: Evolver, model, any_provider, workspace, observe
):
    evolver.plays("$ ls -la skills", write("skills/tables/SKILL.md", skill("tables")), "done")
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    other = Workspace.create(workspace.root.parent / "copy", workspace.root)
    await engine.aevolve(other, [observe()], 1, step="run/batch-1")
    asked = len(evolver.requests)
    result = await engine.aevolve(workspace, [observe()], 1, step="run/batch-1")
    assert len(evolver.requests) == asked  # the journal answered, tool outputs included
    assert result.skills_added == ("tables",)


async def test_a_step_made_again_is_told_what_its_commands_showed(
    evolver: Evolver, model, any_provider, workspace, observe
):
    """A command that shows something else each time makes no new question."""
    evolver.plays("$ echo $RANDOM$RANDOM$RANDOM")
    plays = evolver.service.reply

    def breaks_down(body):
        if len(evolver.requests) < 2:
            return plays(body)
        refusal = {"type": "invalid_request_error", "message": "not today"}
        return JSONResponse({"type": "error", "error": refusal}, status_code=400)

    evolver.service.reply = breaks_down
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    with pytest.raises(GrindstoneError, match="not today"):
        await engine.aevolve(workspace, [observe()], step="run/batch-1")
    evolver.service.reply = plays
    await engine.aevolve(workspace, [observe()], step="run/batch-1")
    _, broken, again = evolver.requests
    assert again["messages"] == broken["messages"]
    assert not list(workspace.evolution_dir.glob("steps/*.commands"))


async def test_a_library_of_any_size_can_learn(
    evolver: Evolver, model, any_provider, tmp_path, observe, monkeypatch: pytest.MonkeyPatch
):
    """What may be carried out is reckoned from what was laid in."""
    monkeypatch.setattr("grindstone.evolve.session.MORE_BYTES", 50_000)
    seed = shutil.copytree(bundled("seed_workspaces/skillbench"), tmp_path / "seed")
    folder = seed / "skills" / "charts"
    folder.mkdir()
    (folder / "SKILL.md").write_text(skill("charts"))
    (folder / "font.bin").write_bytes(bytes(200_000))
    workspace = Workspace.create(tmp_path / "large", seed)
    evolver.plays(write("skills/tables/SKILL.md", skill("tables")))
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    result = await engine.aevolve(workspace, [observe()])
    assert (result.skills_added, result.refusals) == (("tables",), ())


async def test_an_existing_skill_that_changed_is_a_mutation(
    evolver, model, any_provider, workspace, observe
):
    evolver.plays("$ echo 'One more rule.' >> skills/data-formats/SKILL.md")
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    old = parse_skill((workspace.root / "skills/data-formats/SKILL.md").read_bytes())
    result = await engine.aevolve(workspace, [observe()])
    assert result.skills_changed == ("data-formats",)
    assert (result.skills_before, result.skills_after, result.n_mutations) == (4, 4, 1)
    new = parse_skill((workspace.root / "skills/data-formats/SKILL.md").read_bytes())
    assert int(new.version) == int(old.version) + 1


async def test_an_evolution_without_a_change_is_recorded(
    evolver, model, any_provider, workspace, observe
):
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    result = await engine.aevolve(workspace, [observe()])
    assert not result.changed and result.n_mutations == 0
    assert [ref.number for ref in workspace.evolutions()] == [1]


async def test_a_taken_number_is_refused(evolver, model, any_provider, workspace, observe):
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    await engine.aevolve(workspace, [observe()], 5)
    with pytest.raises(WorkspaceError, match="taken"):
        await engine.aevolve(workspace, [observe()], 5)


async def test_someone_elses_change_is_not_overwritten(
    evolver, model, any_provider, workspace, observe
):
    path = "skills/data-formats/SKILL.md"

    def meddle() -> None:
        with workspace.writing() as root:
            (root / path).write_text((root / path).read_text() + "\nTheirs.\n")
            workspace.commit("meanwhile")

    script = evolver.service.reply

    def reply(body):
        if len(evolver.requests) == 2:
            meddle()
        return script(body)

    evolver.service.reply = reply
    evolver.plays(f"$ echo Mine. >> {path}", "done")
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    with pytest.raises(WorkspaceError, match="changed while the evolver worked"):
        await engine.aevolve(workspace, [observe()])
    assert "Theirs." in (workspace.root / path).read_text()
    assert "Mine." not in (workspace.root / path).read_text()


@pytest.mark.sandbox
async def test_evolve_works_inside_a_running_loop(workspace, observe):
    if not (probe().can_run_tasks):
        pytest.skip("neither Docker nor bubblewrap works here")
    engine = EvolutionEngine(EvolveConfig(evolver_model="rehearsal"))
    result = await asyncio.to_thread(lambda: engine.step(workspace, [observe()]))
    inside = engine.evolve(workspace, [observe()])
    assert (result.evo_number, inside.evo_number) == (1, 2)


async def test_mixed_observations_are_refused(workspace, observe):
    with pytest.raises(InputError, match="mixes"):
        await EvolutionEngine().aevolve(workspace, [observe(), observe().unlabelled()])


@pytest.mark.parametrize("mode", list(SuccessMode))
async def test_drafts_are_shown_under_gated_promotion_only(
    evolver, model, any_provider, workspace, observe, mode
):
    with workspace.writing() as root:
        support(root, parse_skill(skill("drafted-skill")), "task-a")
        workspace.commit("draft")
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    evolver.plays("$ find . -name '*draft*'", "done")
    await engine.aevolve(workspace, [observe()], success_mode=mode)
    assert ("drafted-skill" in evolver.wire) == (mode is SuccessMode.GATED_PROMOTION)


async def test_the_last_thirty_tasks_are_summarised(
    evolver, model, any_provider, workspace, observe
):
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    workspace.write_observation("", [observe(task_id=f"earlier-{n:02d}") for n in range(40)])
    await engine.aevolve(workspace, [observe()])
    prompt = evolver.told(0)
    assert "earlier-11" in prompt and "earlier-39" in prompt and "ledger-import-7" in prompt
    assert "earlier-10" not in prompt
    assert workspace.current_observation().startswith("# Observations")


async def test_the_last_refusals_are_known_to_the_next_step(
    evolver, model, any_provider, workspace, observe
):
    evolver.plays("$ echo x > loose.txt", "done", "done")
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    await engine.aevolve(workspace, [observe()])
    assert [each.path for each in last_refusals(workspace)] == ["loose.txt"]


def test_the_adaptive_prompt_has_verdicts_patterns_and_budget(observe):
    judged = [
        observe(task_id=task)
        .unlabelled()
        .model_copy(
            update={
                "judgement": JudgeVerdict(
                    score=score, category="data", outcome="o.", failure_reason=reason
                )
            }
        )
        for task, score, reason in (("b", 5, "wrong delimiter"), ("a", 2, "delimiter was wrong"))
    ]
    prompt = step_prompt(
        number=1,
        scope=EvolveScope(max_skills=0, protect_skills=True),
        skills=[],
        history=[],
        current=judged,
    )
    assert "budget is reached. No new skills" in prompt
    assert prompt.index("- a: 2 of 10") < prompt.index("- b: 5 of 10")
    assert "delimiter was wrong (tasks a, b; lowest score 2)" in prompt
    assert "existing skills are read-only" in prompt


@pytest.mark.docker
async def test_evolvers_leave_no_sandbox_behind(evolver, model, workspace, observe):
    if not probe().engine("docker").works:
        pytest.skip(f"docker: {probe().engine('docker').reason}")
    provider = await open_provider("docker")
    label = f"test-{workspace.root.parent.parent.name}"
    try:
        engine = EvolutionEngine(model=model, provider=provider, labels={"grindstone.test": label})
        await engine.aevolve(workspace, [observe()])
    finally:
        await provider.close()
    listing = await asyncio.create_subprocess_exec(
        "docker",
        "ps",
        "-aq",
        "--filter",
        f"label=grindstone.test={label}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await listing.communicate()
    assert out.strip() == b""
    assert json.dumps(evolver.requests)
