import pytest

from grindstone.benchmark.loading import load_task
from grindstone.benchmark.skillbench import SkillBenchBenchmark
from grindstone.benchmark.variants import find_baked_skills, strip_skills
from grindstone.dockerfile import instructions, parse_copy
from grindstone.errors import InputError
from grindstone.records import Verdict
from grindstone.settings import ScoreMode

BAKED = """\
    FROM debian:bookworm-slim
    WORKDIR /app
    # Skills for every agent
    COPY skills /root/.claude/skills
    COPY --chown=0:0 skills/ \\
         # not a skill of ours
         /root/.codex/skills
    COPY data skills /app/
    RUN mkdir -p /root/.agents/skills
    """
SKILL = "---\nname: sums\ndescription: d\n---\n"


@pytest.fixture
def baked(write_task):
    return write_task(
        **{
            "environment/Dockerfile": BAKED,
            "environment/skills/sums/SKILL.md": SKILL,
            "environment/data": "x",
        }
    )


def test_baked_skills_are_found(baked):
    places = [found.place for found in find_baked_skills(load_task(baked))]
    assert places == [
        "environment/Dockerfile:4",
        "environment/Dockerfile:5",
        "environment/Dockerfile:8",
        "environment/skills",
    ]


def test_a_task_without_skills_is_itself(write_task, tmp_path):
    task = load_task(write_task())
    assert find_baked_skills(task) == ()
    assert strip_skills(task, tmp_path / "v") is task


def test_the_stripped_variant_has_another_image(baked, tmp_path):
    task = load_task(baked)
    bare = strip_skills(task, tmp_path / "variants")
    assert bare.task_id == task.task_id
    assert bare.environment_digest != task.environment_digest
    assert find_baked_skills(bare) == ()
    assert not (bare.environment_dir / "skills").exists()
    text = (bare.environment_dir / "Dockerfile").read_text()
    assert "claude" not in text
    assert 'COPY ["data", "/app/"]' in text
    assert "WORKDIR /app" in text
    assert strip_skills(task, tmp_path / "variants") == bare
    assert load_task(baked).digest == task.digest


def test_skills_brought_by_a_command_are_refused(write_task, tmp_path):
    task = load_task(
        write_task(
            **{
                "environment/Dockerfile": "FROM debian:bookworm-slim\n"
                "RUN git clone http://x.invalid/s /root/.claude/skills/s\n"
            }
        )
    )
    with pytest.raises(InputError, match="Dockerfile:2"):
        strip_skills(task, tmp_path / "variants")


def test_dockerfile_grammar():
    text = (
        'FROM a\nRUN <<END\nCOPY no /no\nEND\nCOPY ["a b", "/c"]\nadd x y z/\ncopy --from=b /x /y\n'
    )
    found = instructions(text)
    assert [part.keyword for part in found] == ["FROM", "RUN", "COPY", "ADD", "COPY"]
    copies = [copy for part in found if (copy := parse_copy(part))]
    assert copies[0].sources == ("a b",)
    assert copies[1].sources == ("x", "y")
    assert copies[2].from_stage
    assert (found[1].first_line, found[1].last_line) == (1, 3)


def test_the_arm_without_skills_has_none(baked, tmp_path):
    root = baked.parent
    bare = SkillBenchBenchmark(root, holdout_ratio=0)
    assert not any(find_baked_skills(task) for task in bare.get_tasks("all"))
    rich = SkillBenchBenchmark(root, use_skills=True, holdout_ratio=0)
    assert all(find_baked_skills(task) for task in rich.get_tasks())
    (pair,) = bare.get_pairs()
    assert pair.with_skills.environment_digest != pair.without_skills.environment_digest
    assert pair.with_skills.instruction == pair.without_skills.instruction


def test_two_folders_must_differ_in_skills_alone(write_task, tmp_path):
    one = write_task()
    other = tmp_path / "bare" / "answer"
    other.parent.mkdir()
    one_text = (one / "tests" / "test.sh").read_text()
    import shutil

    shutil.copytree(one, other)
    benchmark = SkillBenchBenchmark(one.parent, other.parent, holdout_ratio=0)
    assert len(benchmark.get_pairs()) == 1
    (other / "tests" / "test.sh").write_text(one_text + "# easier\n")
    with pytest.raises(InputError, match="tests/"):
        SkillBenchBenchmark(one.parent, other.parent, holdout_ratio=0).get_pairs()


def test_get_tasks(write_task, tmp_path):
    for number in range(10):  # copies of one task stay together
        tests = {"tests/test.sh": f"#!/bin/bash\ngrep -x {number} /app/answer\n"}
        write_task(f"t{number}", **{"instruction.md": f"Write {number} to /app/answer.\n"}, **tests)
    benchmark = SkillBenchBenchmark(
        tasks_with_skills_dir=tmp_path / "tasks",
        use_skills=False,
        holdout_ratio=0.2,
        split_seed=42,
        score_mode="dual",
        native_profile="terminus2",
        category_filter="sums",
    )
    assert len(benchmark.get_tasks()) == 8
    assert len(benchmark.get_tasks("holdout")) == 2
    assert len(benchmark.get_tasks("all", limit=3)) == 3
    with pytest.raises(InputError, match="split"):
        benchmark.get_tasks("test")
    assert benchmark.score_mode is ScoreMode.DUAL


def test_evaluate(write_task):
    benchmark = SkillBenchBenchmark(write_task().parent, holdout_ratio=0)
    (task,) = benchmark.get_tasks()
    worth = benchmark.evaluate(task, Verdict(reward=0.5, passed=False, output="secret"))
    assert (worth.success, worth.score) == (False, 0.5)
    assert "secret" not in worth.model_dump_json()


@pytest.mark.parametrize(
    "arguments", [{}, {"use_skills": True}, {"tasks_with_skills_dir": "x", "score_mode": "best"}]
)
def test_unusable_arguments(arguments):
    with pytest.raises(InputError):
        SkillBenchBenchmark(**arguments).get_tasks()
