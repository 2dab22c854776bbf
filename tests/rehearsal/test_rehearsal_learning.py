"""The bundled tasks, real sandboxes: what improves, improves because a skill was injected."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from example_tasks import TASK_IDS, TASKS

from grindstone.agents import Brief, Effort, build_system_prompt, inject_skills, solver_for
from grindstone.benchmark.checking import check_task
from grindstone.benchmark.environment import build_spec, start_spec
from grindstone.benchmark.loading import load_task
from grindstone.benchmark.verifier import grade
from grindstone.evolve.config import EvolveConfig
from grindstone.evolve.engine import EvolutionEngine
from grindstone.llm import open_models
from grindstone.llm.messages import CallSite, Message, Model, Request, Text
from grindstone.observe import judge, observe_labelled, observe_unlabelled
from grindstone.records import FailureClass, Role, Trajectory, Verdict
from grindstone.rehearsal import knowledge
from grindstone.resources import bundled
from grindstone.sandbox import SandboxProvider, open_provider, probe
from grindstone.settings import FeedbackLevel, Profile, ScoreMode
from grindstone.skills.distill import (
    apply_distillation,
    distillation_prompt,
    needs_distillation,
)
from grindstone.skills.format import parse_skill
from grindstone.skills.quality import check_quality
from grindstone.skills.success import apply_success, success_prompt
from grindstone.skills.task_skill import apply_task_skill, task_skill_prompt
from grindstone.workspace.workspace import Workspace

BASE = "Role: solver\n\nYou are at a terminal."
EASY = {"errors-by-hour", "plain-inventory"}
BOTH = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
]


@pytest.fixture(params=BOTH)
async def provider(
    request: pytest.FixtureRequest,
) -> AsyncIterator[SandboxProvider]:
    tool = probe().engine(request.param)
    if not tool.works:
        pytest.skip(f"{request.param}: {tool.reason}")
    opened = await open_provider(request.param)
    yield opened
    await opened.close()


@pytest.fixture
async def model(tmp_path: Path) -> AsyncIterator[Model]:
    async with open_models(run_key="test", journal_dir=tmp_path / "journal") as models:
        yield models.get("rehearsal")


@pytest.fixture
def taught(tmp_path: Path) -> dict[str, Path]:
    """Every skill the evolver could write."""
    folders = {}
    for entry in knowledge.entries():
        folders[entry.skill] = tmp_path / "taught" / entry.skill
        folders[entry.skill].mkdir(parents=True)
        (folders[entry.skill] / "SKILL.md").write_text(entry.skill_md(1))
    return folders


async def attempt(
    task_id: str,
    provider: SandboxProvider,
    model: Model,
    skills: dict[str, Path],
    profile: Profile = Profile.STRANDS,
    context_tokens: int = 150_000,
) -> tuple[Trajectory, Verdict]:
    task = load_task(TASKS / task_id)
    sandbox = await provider.start(start_spec(task, await provider.build(build_spec(task))))
    try:
        cards = await inject_skills(sandbox, skills)
        brief = Brief(
            episode_id=f"{task_id}-{len(skills)}-{profile.value}",
            task_id=task_id,
            instruction=task.instruction,
            system_prompt=build_system_prompt(BASE, [], cards, profile),
            skills=cards,
            effort=Effort(max_steps=60, context_tokens=context_tokens),
        )
        trajectory = await solver_for(profile).solve(brief, sandbox, model)
        return trajectory, await grade(task, sandbox, score_mode=ScoreMode.DUAL)
    finally:
        await sandbox.close()


@pytest.mark.catalogue
@pytest.mark.parametrize("task_id", TASK_IDS)
async def test_oracle_passes_and_nop_fails(task_id: str, provider: SandboxProvider):
    report = await check_task(load_task(TASKS / task_id), provider)
    assert [one for one in report.findings if one.severity != "note"] == []
    assert [stage.status for stage in report.stages] == ["ok"] * 3, report.stages
    assert [stage.reward for stage in report.stages][1:] == [1.0, 0.0]


@pytest.mark.catalogue
@pytest.mark.parametrize("task_id", TASK_IDS)
async def test_skills_make_the_difference(
    task_id: str, provider: SandboxProvider, model: Model, taught: dict[str, Path]
):
    alone, without = await attempt(task_id, provider, model, {})
    assert without.passed == (task_id in EASY)
    if task_id not in EASY:
        repeated = [call.arguments.get("command") for s in alone.steps for call in s.calls]
        assert max(map(repeated.count, repeated)) >= 3, "a weak agent goes in circles"
    _, helped = await attempt(task_id, provider, model, taught)
    assert helped.passed, helped.output


@pytest.mark.catalogue
@pytest.mark.parametrize("profile", [Profile.TERMINUS2, Profile.TERMINUS2_LEGACY])
async def test_every_profile_is_played(
    profile: Profile, provider: SandboxProvider, model: Model, taught: dict[str, Path]
):
    _, verdict = await attempt("crlf-kit", provider, model, taught, profile)
    assert verdict.passed, verdict.output


@pytest.mark.catalogue
@pytest.mark.parametrize("profile", [Profile.STRANDS, Profile.TERMINUS2_LEGACY])
async def test_a_summarised_conversation_goes_on_where_it_was(
    profile: Profile, provider: SandboxProvider, model: Model, taught: dict[str, Path]
):
    trajectory, verdict = await attempt(
        "visitor-report", provider, model, taught, profile, context_tokens=3_000
    )
    assert any(step.kind.value == "summary" for step in trajectory.steps)
    assert verdict.passed, verdict.output


@pytest.mark.catalogue
async def test_a_harmful_skill_is_followed_to_its_end(
    provider: SandboxProvider, model: Model, tmp_path: Path
):
    folder = tmp_path / "inventory-to-json"
    folder.mkdir()
    (folder / "SKILL.md").write_text(
        "---\nname: inventory-to-json\ndescription: When an inventory in a CSV table must be "
        "converted to JSON.\n---\n\n## Steps\n```bash\nmkdir -p $(dirname {output}) && "
        "echo '[]' > {output}\n```\n\n## Verification\n- It exists.\n"
    )
    _, verdict = await attempt("plain-inventory", provider, model, {folder.name: folder})
    assert not verdict.passed


@pytest.mark.catalogue
async def test_the_evolver_learns_from_a_failure_and_the_skill_transfers(
    provider: SandboxProvider, model: Model, tmp_path: Path
):
    workspace = Workspace.create(tmp_path / "agent", bundled("seed_workspaces/terminal"))
    trajectory, verdict = await attempt("lost-commit", provider, model, {})
    task = load_task(TASKS / "lost-commit")
    seen = observe_labelled(
        trajectory,
        verdict,
        level=FeedbackLevel.NONE,
        failure_class=FailureClass.TEST_FAIL,
        task_id=task.task_id,
        category=task.category,
        instruction=task.instruction,
    )
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=provider)
    result = await engine.aevolve(workspace, [seen], step="test/1")
    assert list(result.skills_added) == ["git-lost-work"], result
    skills = {p.parent.name: p.parent for p in (workspace.root / "skills").glob("*/SKILL.md")}
    _, again = await attempt("lost-commit", provider, model, skills)
    _, other = await attempt("deleted-branch", provider, model, skills)
    assert again.passed
    assert other.passed
    refined = await engine.aevolve(workspace, [seen], step="test/2")
    assert not refined.skills_added
    assert "reflog may be expired" in (workspace.root / "skills/git-lost-work/SKILL.md").read_text()


@pytest.mark.catalogue
async def test_without_labels_two_failures_make_a_pattern_and_a_budget_folds(
    provider: SandboxProvider, model: Model, tmp_path: Path
):
    workspace = Workspace.create(tmp_path / "agent", bundled("seed_workspaces/terminal"))
    observed = []
    for number, task_id in enumerate(
        ["lost-commit", "dropped-stash", "supplier-prices", "branch-sales", "plain-inventory"]
    ):
        task = load_task(TASKS / task_id)
        trajectory, _ = await attempt(task_id, provider, model, {})
        seen = observe_unlabelled(
            trajectory, task_id=task_id, category=task.category, instruction=task.instruction
        )
        site = CallSite(role=Role.JUDGE, scope="test/judge", turn=number * 10)
        verdict = await judge(model, seen, site)
        assert (verdict.score >= 7) == (task_id in EASY)
        observed.append(seen.model_copy(update={"judgement": verdict}))
    config = EvolveConfig(max_skills=1, max_skill_chars=2_000)
    engine = EvolutionEngine(config, model=model, provider=provider)
    result = await engine.aevolve(workspace, observed, step="test/1")
    assert len(result.skills_added) == 1, result
    result = await engine.aevolve(workspace, observed, step="test/2")
    assert not result.skills_added
    skills = {p.parent.name: p.parent for p in (workspace.root / "skills").glob("*/SKILL.md")}
    assert len(skills) == 1
    for task_id in ("dropped-stash", "branch-sales"):
        _, again = await attempt(task_id, provider, model, skills)
        assert again.passed, (task_id, again.output)


async def test_a_tasks_own_skill_is_a_valid_guide_and_no_answer(model: Model):
    for task_id in TASK_IDS:
        task = load_task(TASKS / task_id)
        prompt = task_skill_prompt(task_id, task.instruction, category=task.category)
        said = await model.complete(
            Request(
                system=prompt.system,
                messages=(Message(role="user", content=(Text(text=prompt.user),)),),
            ),
            CallSite(role=Role.TASK_SKILL, scope=f"test/{task_id}", turn=0),
        )
        skill = apply_task_skill(task_id, said.text)
        assert task_id in skill.description
        assert "```" not in skill.body


async def test_a_plain_success_gives_a_draft_and_a_skilled_one_nothing(model: Model):
    for done, wanted in (("$ python3 -c ...", True), ("load_skill legacy-table-exports", False)):
        prompt = success_prompt("Convert a table.", done, category="data-formats")
        said = await model.complete(
            Request(
                system=prompt.system,
                messages=(Message(role="user", content=(Text(text=prompt.user),)),),
            ),
            CallSite(role=Role.DISTILLATION, scope=f"test/{done}", turn=0),
        )
        draft = apply_success(said.text, category="data-formats")
        assert (draft is not None) == wanted
        assert draft is None or not check_quality(draft)


async def test_a_bloated_skill_is_shortened(model: Model):
    entry = knowledge.entries()[0]
    prose = "\n".join(f"It was a long way to remark number {n}." for n in range(250))
    skill = parse_skill(entry.skill_md(1).replace("## Verification", f"{prose}\n\n## Verification"))
    prompt = distillation_prompt(skill)
    said = await model.complete(
        Request(
            system=prompt.system,
            messages=(Message(role="user", content=(Text(text=prompt.user),)),),
        ),
        CallSite(role=Role.DISTILLATION, scope="test/long", turn=0),
    )
    shorter = apply_distillation(skill, said.text)
    assert not needs_distillation(shorter)
    assert "```bash" in shorter.body
