"""A level and an exam hold for the agent that earned them: its model, prompts and tools."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from graduation_support import START, fill, passing, work

from grindstone.errors import InputError, RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.constitution.checking import check
from grindstone.graduation.decisions.edge_cases import EdgeCase
from grindstone.graduation.decisions.exam import Examiner
from grindstone.graduation.decisions.lapse import lapse_if_changed
from grindstone.graduation.evidence.identity import identity_of
from grindstone.graduation.evidence.requirements import Criterion
from grindstone.graduation.intake.recording import Work, keep, rows_for
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import DEFAULT_STEPS, ExamRule, Policy
from grindstone.records import Episode, Outcome, Purpose
from grindstone.resources import bundled
from grindstone.workspace import Workspace

Make = Callable[..., GraduationService]


def by(model: str, profile: str = "") -> Examiner:
    plain, told = passing(), {"model": model, "profile": profile}

    async def attempt(agent_id: str, cases: Sequence[EdgeCase]) -> list[Episode]:
        return [each.model_copy(update=told) for each in await plain(agent_id, cases)]

    return attempt


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "home" / "agents" / "ada" / "workspace"
    return Workspace.create(root, bundled("seed_workspaces/skillbench"))


def rewrite(workspace: Workspace, path: str) -> None:
    with workspace.writing() as folder:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((target.read_text() if target.exists() else "") + "\nMore.\n")
        workspace.commit(f"change {path}")


async def worked(service: GraduationService, count: int, *, first: int = 0, **told: object) -> None:
    rows = [
        rows_for(
            service.registry,
            Work.model_validate(work(number)),
            run_key=f"m-{first}",
            purpose=Purpose.ROUTE,
            now=START,
        )
        for number in range(first, first + count)
    ]
    named = [
        each.model_copy(update={"episode": each.episode.model_copy(update=told)}) for each in rows
    ]
    keep(service.registry, named, run_key=f"m-{first}")
    await check(service.registry, [each.episode for each in named])


async def test_an_exam_is_not_sat_until_luck_passes_it(
    service_at: Make, edge_task: Path, workspace: Workspace
) -> None:
    failing, sat = passing(Outcome.FAILED), 0

    async def third_time_lucky(agent_id: str, cases: Sequence[EdgeCase]) -> Sequence[object]:
        nonlocal sat
        sat += 1
        return await (failing if sat < 3 else passing())(agent_id, cases)

    service = service_at(Policy(name="p"), examiner=third_time_lucky)
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    for _ in range(3):
        await service.run_graduation_exam("ada")
    with pytest.raises(RefusedError, match="the very same agent had failed it 2 times"):
        await service.promote_agent("ada", "INTERN", "Grace")
    rewrite(workspace, "skills/new-one/SKILL.md")  # it has learned something
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")


async def a_promotion(service: GraduationService, edge_task: Path) -> None:
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "part"), [("prompts/system.md", "prompts"), ("tools/count.py", "tools")]
)
async def test_other_prompts_or_tools_cost_a_level_until_an_exam(
    service_at: Make, edge_task: Path, workspace: Workspace, path: str, part: str
) -> None:
    service = service_at()
    await a_promotion(service, edge_task)
    assert (await service.review()).decisions[0].action == "none"
    rewrite(workspace, path)
    (decision, *_) = (await service.review()).decisions
    assert (decision.action, decision.level) == ("lapsed", Level.STUDENT)
    assert f"other {part}" in decision.reason
    assert (await service.review()).decisions[0].action == "exam_due"
    await service.run_graduation_exam("ada")
    assert service.registry.agent("ada").level is Level.INTERN
    assert service.registry.chain.events()[-1].kind is EventKind.RESTORED
    assert (await service.review()).decisions[0].action == "none"


@pytest.mark.slow
async def test_a_failed_exam_gives_nothing_back(
    service_at: Make, edge_task: Path, workspace: Workspace
) -> None:
    service = service_at()
    await a_promotion(service, edge_task)
    rewrite(workspace, "prompts/system.md")
    await service.review()
    service.examiner = passing(Outcome.FAILED)
    await service.run_graduation_exam("ada")
    assert service.registry.agent("ada").level is Level.STUDENT


@pytest.mark.slow
async def test_skills_by_choice_alone(
    service_at: Make, edge_task: Path, workspace: Workspace
) -> None:
    service = service_at()
    await a_promotion(service, edge_task)
    rewrite(workspace, "skills/skill-usage/SKILL.md")
    assert (await service.review()).decisions[0].action == "none"
    strict = service_at(Policy(name="strict", lapse_on=("skills",)))
    assert (await strict.review()).decisions[0].action == "lapsed"


async def test_another_model_lapses_once(service_at: Make, edge_task: Path) -> None:
    service = service_at(examiner=by("model-a"))
    registry = service.registry
    await worked(service, 12, model="model-a")
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")
    assert (
        lapse_if_changed(
            registry, registry.agent("ada"), identity_of(registry, "ada", model="model-a")
        )
        is None
    )
    other = identity_of(registry, "ada", model="model-b")
    event = lapse_if_changed(registry, registry.agent("ada"), other)
    assert event is not None
    assert "model-a → model-b" in event.reason
    assert lapse_if_changed(registry, registry.agent("ada"), other) is None


CODEX, NEWER = "command codex 0.169.0 eb7afb67", "command codex 0.170.0 0c5ab3e8"


@pytest.mark.parametrize("other", [NEWER, "command claude-code 2.1.197 aaaa0000", "strands"])
@pytest.mark.slow
async def test_another_program_lapses_until_it_is_examined(
    service_at: Make, edge_task: Path, other: str
) -> None:
    service = service_at(examiner=by("m", CODEX))
    registry = service.registry
    await worked(service, 12, model="m", profile=CODEX)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")
    assert registry.chain.events()[-1].evidence["agent"]["program"] == CODEX
    await worked(service, 1, first=12, model="m", profile=CODEX)
    assert (await service.review()).decisions[0].action == "none"
    await worked(service, 1, first=13, model="m", profile=other)
    await worked(service, 1, first=14, model="m")  # recorded work does not say who did it
    decision = (await service.review()).decisions[0]
    assert (decision.action, decision.level) == ("lapsed", Level.STUDENT)
    assert f"another program ({CODEX} → " in decision.reason
    await service.run_graduation_exam("ada")  # by the program that is no longer used
    assert registry.agent("ada").level is Level.INTERN
    assert (await service.review()).decisions[0].action == "lapsed"
    service.examiner = by("m", other)
    await service.run_graduation_exam("ada")
    assert registry.agent("ada").level is Level.INTERN
    assert (await service.review()).decisions[0].action == "none"


@pytest.mark.slow
async def test_an_exam_binds_the_agent_that_took_it(
    service_at: Make, edge_task: Path, workspace: Workspace
) -> None:
    service = service_at()
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    await service.run_graduation_exam("ada")
    rewrite(workspace, "prompts/system.md")
    with pytest.raises(RefusedError, match="passed with other prompts than the agent has now"):
        await service.promote_agent("ada", "INTERN", "Grace")
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")


async def test_nobody_is_examined_on_what_it_trained_on(service_at: Make, edge_task: Path) -> None:
    service = service_at()
    registry = service.registry
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    case = await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    trained = registry.episode("ep-1").model_copy(
        update={
            "episode_id": "trained",
            "run_key": "grind-1",
            "purpose": Purpose.GRIND,
            "task_id": case.task_id,
            "task_digest": "an older edition",
        }
    )
    registry.ledger.append([trained], run_key="grind-1")
    with pytest.raises(InputError, match="was trained on that task"):
        await service.run_graduation_exam("ada", [case.case_id])
    exam = await service.run_graduation_exam("ada")
    assert (exam["passed"], exam["cases"]) == (False, [])
    assert "of 1 edge cases there was none to attempt: ada was trained on the tasks of 1;" in str(
        exam["reason"]
    )
    elsewhere = service_at(Policy(name="other", exam=ExamRule(cases=("no-such-*",))))
    reason = (await elsewhere.run_graduation_exam("ada"))["reason"]
    assert "1 are not among those that its policy examines on" in str(reason)
    with pytest.raises(RefusedError, match="that it never trained on"):
        await service.promote_agent("ada", "INTERN", "Grace")
    lax = service_at(Policy(name="lax", exam=ExamRule(untrained=False)))
    assert (await lax.run_graduation_exam("ada"))["passed"]


async def test_failing_everything_is_an_obstacle_where_the_policy_says_so(
    service_at: Make,
) -> None:
    failing = {"success": False}
    documented = service_at(Policy(name="documented"))
    await fill(documented, 12, **failing)
    assert "success_rate" not in str(
        (await documented.calculate_readiness_score("ada", "INTERN"))["requirements"]
    )
    shipped = service_at()
    asked = (await shipped.assess("ada", "INTERN")).requirements
    assert [item.criterion for item in asked if not item.met] == [Criterion.SUCCESS_RATE]
    gaps = (await shipped.calculate_readiness_score("ada", "INTERN"))["gaps"]
    assert "0 of the latest 10 episodes succeeded (0.0%, at least 50%)" in gaps
    assert all(step.min_success_rate == 0.0 for step in DEFAULT_STEPS.values())
