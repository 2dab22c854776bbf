"""The two arms are the same but for skills, also where a task's image brings skills."""

import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "tasks"
TASK = "plain-inventory"


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with one task whose image brings a skill by COPY."""
    folder = tmp_path / "tasks"
    shutil.copytree(EXAMPLES / TASK, folder / TASK)
    environment = folder / TASK / "environment"
    skill = environment / "skills" / "baked-in" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: baked-in\ndescription: Use when told.\n---\n\nBAKED-IN-TEXT\n")
    with (environment / "Dockerfile").open("a") as file:
        file.write("\nCOPY skills /root/.claude/skills\n")
    return folder


def settings(tmp_path: Path, tasks: Path, **more: object):
    from grindstone.settings import CompareSettings

    values = {"work_dir": tmp_path / "home", "tasks_dir": tasks, "model_id": "rehearsal"}
    return CompareSettings.model_validate(values | more)


def test_without_use_skills_neither_arm_has_the_images_skills(tmp_path, tasks):
    from grindstone.benchmark.variants import find_baked_skills
    from grindstone.runs.plan import choose_tasks, pair_tasks

    asked = settings(tmp_path, tasks)
    chosen, _ = choose_tasks(asked)
    (pair,) = pair_tasks(asked, chosen)
    assert not find_baked_skills(pair.with_skills)
    assert pair.with_skills == pair.without_skills == chosen[0]
    assert pair.with_skills.path.is_relative_to(tmp_path / "home" / "variants")


def test_with_use_skills_the_arms_have_images_of_their_own(tmp_path, tasks):
    from grindstone.benchmark import build_spec
    from grindstone.benchmark.variants import find_baked_skills
    from grindstone.runs.plan import choose_tasks, pair_tasks

    asked = settings(tmp_path, tasks, use_skills=True)
    chosen, _ = choose_tasks(asked)
    (pair,) = pair_tasks(asked, chosen)
    assert find_baked_skills(pair.with_skills)
    assert not find_baked_skills(pair.without_skills)
    assert build_spec(pair.with_skills) != build_spec(pair.without_skills)
    assert pair.with_skills.environment_digest != pair.without_skills.environment_digest


def test_two_folders_must_differ_in_skills_alone(tmp_path, tasks):
    from grindstone.errors import InputError
    from grindstone.runs.plan import choose_tasks, pair_tasks

    bare = tmp_path / "bare"
    shutil.copytree(EXAMPLES / TASK, bare / TASK)
    folders = {"tasks_dir": None, "tasks_with_skills_dir": tasks, "tasks_without_skills_dir": bare}
    without, _ = choose_tasks(settings(tmp_path, tasks, **folders))
    assert without[0].path == bare / TASK
    asked = settings(tmp_path, tasks, **folders, use_skills=True)
    chosen, _ = choose_tasks(asked)
    assert chosen[0].path == tasks / TASK
    (pair,) = pair_tasks(asked, chosen)
    assert pair.without_skills.path == bare / TASK
    (bare / TASK / "instruction.md").write_text("Something else.")
    with pytest.raises(InputError, match=r"differs with and without skills in instruction\.md"):
        pair_tasks(asked, chosen)
    with pytest.raises(InputError, match="tasks_with_skills_dir"):
        choose_tasks(
            settings(
                tmp_path, tasks, tasks_dir=None, tasks_without_skills_dir=bare, use_skills=True
            )
        )


@pytest.mark.server
@pytest.mark.timeout(300)
async def test_the_arm_without_is_told_of_no_skill(tmp_path, tasks, prefect_server, recorder):
    from grindstone.flows.compare import compare
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.attempts import SkillUseRow
    from grindstone.records import Episode
    from grindstone.runs.progress import Advanced, Progress, watching

    told: list[Progress] = []
    with watching(told.append):
        finished = await compare(settings(tmp_path, tasks, run_key="ab", trials=2, use_skills=True))
    assert [each for each in told if isinstance(each, Advanced)] == [
        Advanced(done, 4) for done in (1, 2, 3, 4)
    ]
    ledger = Ledger(tmp_path / "home")
    rows = ledger.rows(Episode, "ab")
    assert sorted((row.arm, row.trial) for row in rows) == [
        ("with", 0),
        ("with", 1),
        ("without", 0),
        ("without", 1),
    ]
    assert len({row.workspace_tree for row in rows}) == 1
    assert len({row.task_digest for row in rows}) == 2
    arms = {row.episode_id: row.arm for row in rows}
    uses = ledger.rows(SkillUseRow, "ab")
    assert {arms[use.episode_id] for use in uses} == {"with"}
    offering = ["environment-discovery" in each.text for each in recorder.of("solver")]
    assert any(offering)
    assert not all(offering)

    report = finished.report
    assert (report.kind, report.status, report.n_attempts) == ("compare", "completed", 4)
    assert report.n_tasks == 0
    seen = report.comparison
    assert seen is not None
    assert (seen.trials, seen.paired.n_pairs, seen.paired.n_tasks) == (2, 2, 1)
    assert seen.with_skills.errors == seen.without_skills.errors == 0
    text = (finished.folder / "report.md").read_text()
    assert text.startswith("# Rehearsal: mean score ")
    assert "## Verdicts" not in text
    assert (finished.folder / "plots" / "comparison.svg").is_file()
    again = await compare(settings(tmp_path, tasks, run_key="ab", trials=2, use_skills=True))
    assert again.report.comparison == seen


@pytest.mark.server
@pytest.mark.timeout(300)
async def test_the_comparison_is_shown_in_the_ui(tmp_path, prefect_server):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    from grindstone.flows.compare import compare

    await compare(settings(tmp_path, EXAMPLES, task_ids=[TASK], agent_id="shown-agent"))
    keys = ["comparison-shown-agent", "comparison-tasks-shown-agent"]
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys))
        )
    by_key = {artifact.key: artifact for artifact in found}
    assert set(by_key) == set(keys)
    assert "data:image/svg+xml;base64," in str(by_key[keys[0]].data)
    page = str(by_key[keys[0]].data)
    assert "With skills against without" in page
    assert page.startswith("# Rehearsal: mean score ")
    assert page.lower().count("mean score 1") + page.lower().count("mean score 0") == 1
    assert all(str(artifact.description).startswith("Rehearsal: ") for artifact in found)
    assert TASK in str(by_key[keys[1]].data)


@pytest.mark.parametrize(
    ("cause", "difference"),
    [("overloaded", None), ("agent_broken", -1.0), ("verifier_timeout", -1.0)],
)
async def test_infrastructure_is_no_score(tmp_path, cause, difference):
    """What skills may have broken counts against them, where the other side has a score."""
    from grindstone.ledger import Ledger
    from grindstone.records import Episode, Outcome, Purpose, utc_now
    from grindstone.report.comparison import compare_arms

    def episode(arm: str, task: str, outcome: str) -> Episode:
        score = None if outcome == "error" else float(outcome == "passed")
        return Episode(
            episode_id=f"{arm}-{task}",
            run_key="r",
            agent_id="a",
            purpose=Purpose.COMPARE,
            arm=arm,
            task_id=task,
            outcome=Outcome(outcome),
            error_cause=cause if outcome == "error" else "",
            reward=score,
            score=score,
            started_at=utc_now(),
            ended_at=utc_now(),
        )

    ledger = Ledger(tmp_path)
    rows = [
        *(episode("with", "one", "passed"), episode("without", "one", "failed")),
        *(episode("with", "two", "error"), episode("without", "two", "passed")),
        *(episode("with", "two-alike", "error"), episode("without", "two-alike", "error")),
    ]
    ledger.append(rows, run_key="r")
    seen = compare_arms(ledger.scan(Episode, "r"))
    assert seen is not None
    counted = 2 if difference else 1
    assert (seen.paired.n_pairs, seen.paired.n_missing) == (counted, 3 - counted)
    assert (seen.with_skills.passed, seen.with_skills.errors) == (1, 2)
    assert seen.with_skills.pass_ratio == 1.0
    assert [task.difference for task in seen.tasks] == [1.0, difference, None]
    assert compare_arms(ledger.scan(Episode, "other")) is None


def test_tasks_of_one_cluster_and_copies_count_once_in_a_comparison(tmp_path):
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.releases import TaskPartRow
    from grindstone.records import Episode, Outcome, Purpose, utc_now
    from grindstone.report.markdown import render_markdown
    from grindstone.report.run_report import build_report

    ledger = Ledger(tmp_path)
    for number in range(8):
        made = {"cluster": "one-template"} if number < 4 else {"cluster": f"t{number}"}
        text = "the same" if number > 5 else f"t{number}"
        part = {"run_key": "r", "task_id": f"t{number}", "task_digest": "", "part": "seen"}
        ledger.append([TaskPartRow(**part, fingerprint=text, **made)], run_key="r")
        for arm, passed in (("with", True), ("without", False)):
            row = Episode(
                episode_id=f"{arm}-{number}",
                run_key="r",
                agent_id="a",
                purpose=Purpose.COMPARE,
                arm=arm,
                task_id=f"t{number}",
                outcome=Outcome.PASSED if passed else Outcome.FAILED,
                reward=float(passed),
                score=float(passed),
                started_at=utc_now(),
                ended_at=utc_now(),
            )
            ledger.append([row], run_key="r")
    found = build_report(ledger, "r").comparison
    assert found is not None
    assert (found.paired.n_tasks, found.paired.n_clusters, found.paired.wins) == (8, 4, 4)
    assert found.paired.p_two_sided == 2 / 2**4
    assert not found.told_apart, "eight of eight tasks would be"
    assert "8 tasks in 4 clusters of tasks" in render_markdown(build_report(ledger, "r"))
