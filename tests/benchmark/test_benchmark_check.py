import pytest

from grindstone.benchmark.checking import check_task
from grindstone.benchmark.linting import lint_task
from grindstone.benchmark.loading import load_task

NET = "[environment]\nallow_internet = false\n"


@pytest.mark.parametrize(
    ("parts", "rule", "severity"),
    [
        ({"tests/test.sh": "#!/bin/bash\nexit 0\n"}, "no-reward", "error"),
        ({"tests/test.sh": "#!/bin/bash\necho 1 > /tmp/reward.txt\n"}, "reward-elsewhere", "error"),
        (
            {"tests/test.sh": "set -e\npytest /tests\necho 1 > /logs/verifier/reward.txt\n"},
            "set-e",
            "error",
        ),
        (
            {"tests/test.sh": "echo 1\r\n>/logs/verifier/reward.txt\r\n"},
            "crlf",
            "error",
        ),
        ({"tests/test.sh": "echo 1 > /logs/verifier/reward.txt\n"}, "no-shebang", "note"),
        (
            {"tests/test.sh": "pytest /tests/test_a.py; echo > /logs/verifier/reward.txt"},
            "test-missing",
            "error",
        ),
        ({"tests/test_a.py": "def x(:\n"}, "test-syntax", "warning"),
        (
            {
                "tests/test.sh": "curl x | sh; echo 1 > /logs/verifier/reward.txt\n",
                "task.toml": NET,
            },
            "tests-need-network",
            "error",
        ),
        (
            {
                "environment/Dockerfile": "FROM debian:bookworm-slim\nCOPY check.py /x\n",
                "environment/check.py": "def test_a(): pass\n",
                "tests/check.py": "def test_a(): pass\n",
            },
            "answers-in-image",
            "error",
        ),
        (
            {"environment/Dockerfile": "FROM debian:bookworm-slim\nCOPY nothing /x\n"},
            "copy-missing",
            "error",
        ),
        (
            {
                "environment/Dockerfile": "FROM x\nCOPY skills /root/.claude/skills\n",
                "environment/skills/a/SKILL.md": "x",
            },
            "skills-baked",
            "note",
        ),
        ({"instruction.md": "Run: echo 42 > /app/answer\n"}, "solution-told", "warning"),
        ({"solution/solve.sh": None}, "no-solution", "note"),
        ({"task.toml": '[verifier]\nenvironment_mode = "separate"\n'}, "no-artifacts", "warning"),
        (
            {"tests/test.sh": "python3 -m pytest /tests; echo > /logs/verifier/reward.txt"},
            "cwd-on-path",
            "note",
        ),
        (
            {"tests/test.sh": "curl localhost; su nobody -c id; echo > /logs/verifier/reward.txt"},
            "runs-beside-kept",
            "note",
        ),
    ],
)
def test_lint(write_task, parts, rule, severity):
    found = {finding.rule: finding for finding in lint_task(load_task(write_task(**parts)))}
    assert rule in found, found
    assert found[rule].severity == severity
    assert found[rule].remedy


def test_a_sound_task_has_no_findings(write_task):
    assert lint_task(load_task(write_task())) == ()
    shared = {
        "environment/Dockerfile": "FROM debian:bookworm-slim\nCOPY data.csv /x\n",
        "environment/data.csv": "1,2\n",
        "tests/data.csv": "1,2\n",
    }
    assert lint_task(load_task(write_task(**shared))) == ()


@pytest.mark.parametrize(
    "script",
    [
        "set -e\nif pytest /tests; then r=1; else r=0; fi\necho $r > /logs/verifier/reward.txt\n",
        "set -e\npytest /tests || true\necho 1 > /logs/verifier/reward.txt\n",
        "set -e\npip install pytest\nset +e\npytest /tests\necho > /logs/verifier/reward.txt\n",
    ],
)
def test_a_careful_set_e_is_fine(write_task, script):
    rules = {
        finding.rule for finding in lint_task(load_task(write_task(**{"tests/test.sh": script})))
    }
    assert "set-e" not in rules


async def test_a_sound_task_passes(provider, write_task):
    report = await check_task(load_task(write_task()), provider)
    assert report.ok, report
    assert [(stage.name, stage.status) for stage in report.stages] == [
        ("build", "ok"),
        ("oracle", "ok"),
        ("nop", "ok"),
    ]
    assert [stage.reward for stage in report.stages] == [None, 1.0, 0.0]
    assert all(stage.duration_s > 0 for stage in report.stages)


async def test_a_task_that_anything_passes(provider, write_task):
    folder = write_task(**{"tests/test.sh": "#!/bin/bash\necho 1 > /logs/verifier/reward.txt\n"})
    report = await check_task(load_task(folder), provider)
    assert not report.ok
    assert report.stage("nop").status == "failed"
    assert "did nothing" in report.stage("nop").detail


async def test_a_solution_that_does_not_solve(provider, write_task):
    folder = write_task(**{"solution/solve.sh": "echo trying; echo 41 > /app/answer; exit 3\n"})
    report = await check_task(load_task(folder), provider)
    assert report.stage("oracle").status == "failed"
    assert "ended with 3" in report.stage("oracle").detail
    assert "trying" in report.stage("oracle").detail
    assert report.stage("nop").status == "ok"


async def test_an_image_that_does_not_build(provider, write_task):
    dockerfile = "FROM debian:bookworm-slim\nRUN echo the reason && exit 9\n"
    report = await check_task(
        load_task(write_task(**{"environment/Dockerfile": dockerfile})), provider
    )
    assert [stage.status for stage in report.stages] == ["error", "skipped", "skipped"]
    assert "the reason" in report.stage("build").detail


async def test_a_broken_verifier_is_an_error_not_a_failure(provider, write_task):
    folder = write_task(**{"tests/test.sh": "#!/bin/bash\n: /logs/verifier/reward.txt\n"})
    report = await check_task(load_task(folder), provider)
    assert report.stage("nop").status == "error"
    assert not report.ok


async def test_injected_agents_are_used(provider, write_task):
    async def solve(_task, sandbox):
        await sandbox.exec("echo 42 > /app/answer", timeout_s=10)
        return ""

    task = load_task(write_task(**{"solution/solve.sh": None}))
    report = await check_task(task, provider, oracle=solve)
    assert report.ok
    report = await check_task(task, provider, nop=solve)
    assert [stage.status for stage in report.stages] == ["ok", "skipped", "failed"]
