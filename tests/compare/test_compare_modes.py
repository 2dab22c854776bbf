"""Each mode of learning, seen in the workspace, the ledger and what models were asked."""

from pathlib import Path
from typing import Any

import pytest
from support.wiretap import role_of, spoken

pytestmark = [
    pytest.mark.catalogue(of="modes of learning"),
    pytest.mark.server,
    pytest.mark.timeout(300),
]


async def grind(home: Path, **settings: Any) -> Any:
    from grindstone.flows.grind import grind as flow
    from grindstone.settings import GrindSettings

    shared = {"work_dir": home, "model_id": "rehearsal", "max_cycles": 2, "run_key": "run"}
    return await flow(GrindSettings.model_validate(shared | settings))


def agent_of(home: Path, *, create: bool = False) -> Any:
    from grindstone.resources import bundled
    from grindstone.workspace import Workspace

    folder = home / "agents" / "skillbench" / "workspace"
    if create:
        return Workspace.create(folder, bundled("seed_workspaces/skillbench"))
    return Workspace.open(folder)


def library(home: Path) -> Any:
    return agent_of(home).library


def drafts(home: Path) -> set[str]:
    folder = home / "agents" / "skillbench" / "workspace" / "skills" / "_drafts"
    return {path.stem for path in folder.glob("*.md")}


def steps(home: Path) -> list[str]:
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.runs import EvolutionRow

    rows = sorted(Ledger(home).rows(EvolutionRow, "run"), key=lambda row: row.at)
    return [row.step for row in rows]


SUCCESS = {"task_ids": ["plain-inventory", "branch-sales"], "task_skill_mode": "off"}


@pytest.mark.catalogue
@pytest.mark.parametrize("profile", ["oracle", "nop"])
async def test_a_profile_that_asks_no_model_teaches_nothing(
    tmp_path, prefect_server, recorder, profile
):
    from grindstone.flows.adapt import adapt
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.runs import EvolutionRow
    from grindstone.settings import AdaptiveSettings

    task_ids = ["plain-inventory", "branch-sales"]
    await grind(tmp_path, task_ids=task_ids, native_profile=profile, distill=True)
    shared = {"work_dir": tmp_path, "model_id": "rehearsal", "agent_id": "skillbench"}
    for trajectory_only in (True, False):
        more = {"trajectory_only": trajectory_only, "native_profile": profile, "max_cycles": 1}
        await adapt(AdaptiveSettings.model_validate({**shared, "task_ids": task_ids, **more}))
    assert recorder.asked == []
    assert Ledger(tmp_path).rows(EvolutionRow) == []
    assert library(tmp_path).names() == (
        "data-formats",
        "environment-discovery",
        "python-packages",
        "skill-usage",
    )
    assert not drafts(tmp_path)


@pytest.mark.catalogue
@pytest.mark.parametrize(("tokens", "summarised"), [(1_500, True), (150_000, False)])
async def test_a_conversation_longer_than_the_setting_is_summarised(
    tmp_path, prefect_server, recorder, tokens, summarised
):
    await grind(
        tmp_path,
        task_ids=["branch-sales"],
        success_mode="off",
        task_skill_mode="off",
        max_cycles=1,
        context_tokens=tokens,
    )
    assert recorder.of("solver")
    assert bool(recorder.of("summary")) == summarised


async def test_success_mode_off_asks_nothing(tmp_path, prefect_server, recorder):
    await grind(tmp_path, **SUCCESS, success_mode="off", max_cycles=1)
    assert not drafts(tmp_path)
    assert not any("success" in step for step in steps(tmp_path))
    assert {each.role for each in recorder.asked} == {"solver", "evolver"}


async def test_draft_only_keeps_drafts_that_nobody_is_shown(tmp_path, prefect_server, recorder):
    # The success comes first, so that the evolver is asked while a draft is there.
    await grind(tmp_path, **SUCCESS, success_mode="draft_only", batch_size=2)
    (draft,) = drafts(tmp_path)
    assert draft not in library(tmp_path).names()
    assert any(step.endswith("success-plain-inventory") for step in steps(tmp_path))
    text = (tmp_path / "agents/skillbench/workspace/skills/_drafts" / f"{draft}.md").read_text()
    saying = text.split("---")[2].strip().splitlines()[-1]
    for role in ("evolver", "solver"):
        assert recorder.of(role)
        assert not any(draft in each.text for each in recorder.of(role)), role
        assert not any(saying in each.text for each in recorder.of(role)), role


async def test_a_draft_short_of_support_is_shown_and_not_promoted(
    tmp_path, prefect_server, recorder
):
    await grind(
        tmp_path,
        **SUCCESS,
        success_mode="gated_promotion",
        promotion_threshold=2,
        batch_size=2,
    )
    (draft,) = drafts(tmp_path)
    assert draft not in library(tmp_path).names()
    assert any(draft in each.text for each in recorder.of("evolver"))
    assert not any(draft in each.text for each in recorder.of("solver"))


async def test_a_supported_draft_joins_the_library(tmp_path, prefect_server, recorder):
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.runs import EvolutionRow, SkillRow

    alone = SUCCESS | {"task_ids": ["plain-inventory"]}
    await grind(tmp_path, **alone, success_mode="gated_promotion", max_cycles=1)
    rows = Ledger(tmp_path).rows(EvolutionRow, "run")
    (promoted,) = (row for row in rows if row.step.endswith("/promote"))
    (name,) = promoted.skills_added
    assert promoted.evo_number == 1
    assert promoted.task_ids == ("plain-inventory",)
    assert name in library(tmp_path).names()
    assert name not in drafts(tmp_path)
    learned = {row.skill: row for row in Ledger(tmp_path).rows(SkillRow, "run")}
    assert learned[name].learned_from == ("plain-inventory",)
    assert learned[name].evo_number == 1
    workspace = agent_of(tmp_path)
    assert [ref.message for ref in workspace.history()] == [f"Evolution 1: promote {name}"]
    assert {"pre-evo-1", "evo-1"} <= set(workspace.repository.tags())
    assert "version" in (workspace.root / "skills" / name / "SKILL.md").read_text()
    assert not (workspace.root / "skills" / "_drafts").exists()
    workspace.rollback("pre-evo-1")
    assert name not in workspace.library.names()


async def test_a_library_that_may_not_evolve_stays_byte_for_byte(
    tmp_path, prefect_server, recorder
):
    """Whatever else may change: nothing is drafted, promoted or shortened."""
    made = agent_of(tmp_path, create=True)
    with made.writing() as root:
        folder = root / "skills" / "long-one"
        folder.mkdir()
        head = "---\nname: long-one\ndescription: When a table must be read.\n---\n\n## Steps\n"
        (folder / "SKILL.md").write_text(head + "Look again.\n" * 900)
        made.commit("A long skill")
    skills = made.snapshot().skills_digest
    files = sorted(path for path in (made.root / "skills").rglob("*"))
    await grind(
        tmp_path,
        **SUCCESS,
        success_mode="gated_promotion",
        evolve_skills=False,
        evolve_memory=True,
        distill=True,
        max_cycles=1,
    )
    assert made.snapshot().skills_digest == skills
    assert sorted(path for path in (made.root / "skills").rglob("*")) == files
    assert not recorder.of("distillation")


async def test_what_was_refused_of_a_draft_and_a_task_skill_is_in_the_report(
    tmp_path, prefect_server, tap
):
    def unusable(body):
        writing = role_of(body) in {"distillation", "task_skill"}
        return spoken([{"type": "text", "text": "No skill.\n" * 150}]) if writing else None

    tap.instead = unusable
    done = await grind(tmp_path, task_ids=["plain-inventory"], max_cycles=1)
    assert {(each.path, each.rule) for each in done.report.refused} == {
        ("task_skills/plain-inventory/SKILL.md", "skill_format"),
        ("skills/_drafts", "skill_format"),
    }
    assert "`skills/_drafts`" in (done.folder / "report.md").read_text()


TASK = {"task_ids": ["branch-sales"], "success_mode": "off"}


@pytest.mark.catalogue
@pytest.mark.parametrize(
    ("mode", "written"),
    [
        ("off", []),
        ("retry_only", ["batch-1/cycle-1/task_skill-branch-sales"]),
        (
            "pre_generate_and_retry",
            [
                "batch-1/cycle-1/task_skill-branch-sales-first",
                "batch-1/cycle-1/task_skill-branch-sales",
            ],
        ),
    ],
)
async def test_a_tasks_own_skill_comes_when_the_mode_says(
    tmp_path, prefect_server, recorder, mode, written
):
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.attempts import SkillUseRow
    from grindstone.records import Episode

    await grind(tmp_path, **TASK, task_skill_mode=mode)
    own = library(tmp_path).task_skill("branch-sales")
    assert (own is None) == (mode == "off")
    assert [step for step in steps(tmp_path) if "task_skill" in step] == written
    assert len(recorder.of("task_skill")) == len(written)
    ledger = Ledger(tmp_path)
    cycle = {row.episode_id: row.cycle for row in ledger.rows(Episode, "run")}
    offered = {
        cycle[row.episode_id] for row in ledger.rows(SkillUseRow, "run") if row.scope == "task"
    }
    assert (
        offered
        == {
            "off": set(),
            "retry_only": {2},
            "pre_generate_and_retry": {1, 2},
        }[mode]
    )
    # What failed is told to the second writer, and was not there for the first.
    said = [each.text for each in recorder.of("task_skill")]
    if mode == "pre_generate_and_retry":
        assert "test_" not in said[0]
    if written:
        assert "test_" in said[-1]


async def test_a_later_run_keeps_what_a_failure_taught(tmp_path, prefect_server, recorder):
    await grind(tmp_path, **TASK, task_skill_mode="retry_only")
    before = library(tmp_path).task_skill("branch-sales")
    asked = len(recorder.of("task_skill"))
    await grind(tmp_path, **TASK, task_skill_mode="pre_generate_and_retry", run_key="later")
    assert library(tmp_path).task_skill("branch-sales") == before
    assert len(recorder.of("task_skill")) == asked


@pytest.mark.catalogue
@pytest.mark.parametrize(("selection", "method"), [("keyword", "keyword"), ("semantic", None)])
async def test_what_is_offered_is_chosen_and_its_scores_kept(
    tmp_path, prefect_server, recorder, selection, method
):
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.attempts import SkillUseRow

    settings = {"task_ids": ["branch-sales"], "task_skill_mode": "off", "max_cycles": 1}
    await grind(tmp_path, **settings, skill_select_limit=2, selection=selection)
    rows = Ledger(tmp_path).rows(SkillUseRow, "run")
    assert 1 <= len(rows) <= 2
    methods = {row.selection_method for row in rows}
    assert methods == {method} if method else methods <= {"semantic", "bm25"}
    floor = 2 if selection == "keyword" else 0
    assert all(row.selection_score is not None and row.selection_score >= floor for row in rows)
    chosen = {row.skill for row in rows}
    seeds = {"data-formats", "environment-discovery", "python-packages", "skill-usage"}
    first = recorder.of("solver")[0].text
    assert all(f"skills/{name}" in first or name in first for name in chosen)
    assert not any(f"skills/{name}/" in first for name in seeds - chosen)
