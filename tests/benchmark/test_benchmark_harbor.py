"""What Harbor 0.26 takes in a task, and what it does with it: the same here, or told."""

from pathlib import Path

import pytest

from grindstone.benchmark import grade_task, load_task
from grindstone.benchmark.checking import check_task
from grindstone.benchmark.environment import build_spec
from grindstone.benchmark.folder import TaskError
from grindstone.benchmark.linting import lint_task
from grindstone.benchmark.loading import load_tasks
from grindstone.benchmark.starting import start_task
from grindstone.errors import Cause, InfrastructureError
from grindstone.settings import ScoreMode

HEALTHY = """\
[environment]
allow_internet = false
[environment.healthcheck]
command = "echo try >> /app/tries; [ $(wc -l < /app/tries) -ge {passes_at} ]"
interval_sec = 0.05
start_interval_sec = 0.05
start_period_sec = {start_period_sec}
retries = 3
"""
ALL_OF_HARBOR = """\
schema_version = "1.4"
source = "somewhere"
[[artifacts]]
source = "/app/out"
destination = "kept/out"
exclude = ["*.tmp"]
service = "main"
[task]
name = "someone/answer"
version = "2.0"
authors = [{ name = "Someone" }]
format = "single"
[agent]
user = "root"
[verifier]
user = 0
[[verifier.collect]]
command = "true"
service = "main"
timeout_sec = 5
[environment]
gpu_types = []
[environment.healthcheck]
command = "true"
"""


def test_no_key_of_harbors_is_called_unknown(write_task):
    task = load_task(write_task(**{"task.toml": ALL_OF_HARBOR}))
    assert task.warnings == ()
    (artifact,) = task.artifacts
    assert (artifact.source, artifact.exclude) == ("/app/out", ("*.tmp",))
    assert task.healthcheck is not None
    assert (task.healthcheck.retries, task.healthcheck.timeout_s) == (3, 30)
    assert [(hook.command, hook.timeout_s) for hook in task.collect] == [("true", 5)]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('[agent]\nuser = "agent"', "agent.user is 'agent' and has no effect"),
        ("[verifier]\nuser = 1000", "verifier.user is 1000 and has no effect"),
        ('[environment]\nskills_dir = "/skills"', "environment.skills_dir has no effect"),
        (
            '[[verifier.collect]]\ncommand = "true"\nuser = "nobody"',
            "verifier.collect.0.user is 'nobody' and has no effect",
        ),
    ],
)
def test_what_harbor_heeds_and_nothing_here_does_is_told(write_task, config, told):
    (warning,) = load_task(write_task(**{"task.toml": config})).warnings
    assert warning.startswith(told)


@pytest.mark.parametrize(
    ("config", "field", "expected"),
    [
        ("[environment.healthcheck]\nretries = 1", "environment.healthcheck.command", "a value"),
        (
            '[environment.healthcheck]\ncommand = "true"\nretries = 0',
            "environment.healthcheck.retries",
            "more than 0",
        ),
        (
            '[environment.healthcheck]\ncommand = "true"\ninterval_sec = "5s"',
            "environment.healthcheck.interval_sec",
            "a number",
        ),
        ('[environment.tpu]\ntype = "v4"', "environment.tpu", "none"),
        (
            '[environment]\nmemory = "2G"\nmemory_mb = 512',
            "environment.memory",
            "one of them, or the same",
        ),
        (
            'artifacts = [{ source = "/x", destination = "/y" }]',
            "artifacts.0.destination",
            "a relative path",
        ),
        (
            'artifacts = [{ source = "/x", service = "db" }]',
            "artifacts.0.service",
            "'main'",
        ),
        (
            '[[verifier.collect]]\ncommand = "x"\nservice = "db"',
            "verifier.collect.0.service",
            "'main'",
        ),
    ],
)
def test_what_cannot_be_had_is_named(write_task, config, field, expected):
    with pytest.raises(TaskError) as caught:
        load_task(write_task(**{"task.toml": config}))
    assert (caught.value.file, caught.value.field) == ("task.toml", field)
    assert expected in caught.value.expected


def test_memory_said_twice_alike_is_fine(write_task):
    config = '[environment]\nmemory = "2G"\nmemory_mb = 2048\nstorage_mb = 1024\nstorage = "1G"\n'
    assert load_task(write_task(**{"task.toml": config})).limits.memory_mb == 2048


STEPS = {
    "task.toml": '[[steps]]\nname = "one"\n[[steps]]\nname = "two"\n',
    "instruction.md": None,
    "tests/test.sh": None,
    "steps/one/instruction.md": "Begin.",
    "steps/one/tests/test.sh": "true",
}


def test_a_task_of_several_steps_is_called_that(write_task, tmp_path):
    write_task("many", **STEPS)
    write_task("untold", **{**STEPS, "task.toml": ""})
    said = {error.task_id: str(error) for error in load_tasks(tmp_path / "tasks").broken}
    assert said == {
        "many": "many/steps: asks for several steps; expected a task of one step",
        "untold": "untold/steps: asks for several steps; expected a task of one step",
    }


def test_a_task_of_several_containers_is_called_that(write_task):
    parts = {"environment/Dockerfile": None, "environment/docker-compose.yaml": "services: {}"}
    with pytest.raises(TaskError, match=r"docker-compose\.yaml: .* a task of one container"):
        load_task(write_task(**parts))


def test_a_conversation_to_go_on_from_is_refused(write_task):
    with pytest.raises(TaskError, match=r"answer/trajectory.json: .* expected none"):
        load_task(write_task(**{"trajectory.json": "{}"}))


def test_all_that_is_missing_is_told_at_once(write_task):
    parts = {"instruction.md": None, "environment/Dockerfile": None, "tests/test.sh": None}
    with pytest.raises(TaskError) as caught:
        load_task(write_task(**parts, **{"task.toml": "[agent]\ntimeout_sec = 0"}))
    assert [(each.file, each.field) for each in caught.value.each] == [
        ("instruction.md", ""),
        ("task.toml", "agent.timeout_sec"),
        ("environment/Dockerfile", ""),
        ("tests/test.sh", ""),
    ]


def test_a_mark_of_the_byte_order_is_no_text(write_task):
    folder = write_task()
    for name in ("task.toml", "instruction.md"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert load_task(folder).instruction == "Write 42 to /app/answer.\n"


def test_an_entrypoint_is_told_not_to_run(write_task):
    docker = 'FROM debian:bookworm-slim\nENTRYPOINT ["/start.sh"]\n'
    found = lint_task(load_task(write_task(**{"environment/Dockerfile": docker})))
    assert [each.file for each in found if each.rule == "entrypoint"] == [
        "environment/Dockerfile:2"
    ]
    shell = docker.replace("/start.sh", "/bin/bash")
    found = lint_task(load_task(write_task("shell", **{"environment/Dockerfile": shell})))
    assert not [each for each in found if each.rule == "entrypoint"]


def checked(write_task, passes_at: int, start_period_sec: float = 0, **parts: str) -> Path:
    config = HEALTHY.format(passes_at=passes_at, start_period_sec=start_period_sec)
    return write_task(**{"task.toml": config, **parts})


@pytest.mark.parametrize(("passes_at", "period"), [(1, 0), (3, 0), (9, 30)])
async def test_the_agent_begins_once_the_healthcheck_has_passed(
    provider, write_task, passes_at, period
):
    task = load_task(checked(write_task, passes_at, period))
    image = await provider.build(build_spec(task))
    sandbox = await start_task(task, provider, image)
    ran = await sandbox.exec("wc -l < tries", timeout_s=20)
    await sandbox.close()
    assert int(ran.output) == passes_at


async def test_a_healthcheck_that_fails_is_no_score(provider, write_task):
    task = load_task(checked(write_task, 4, **{"tests/test.sh": "true"}))
    image = await provider.build(build_spec(task))
    with pytest.raises(
        InfrastructureError, match=r"environment\.healthcheck: .* 3 times"
    ) as caught:
        await start_task(task, provider, image)
    assert caught.value.cause is Cause.SANDBOX_START


async def test_check_solves_a_task_that_its_healthcheck_prepares(provider, write_task):
    tests = "[ -e tries ] && [ -e answer ] && r=1 || r=0; echo $r > /logs/verifier/reward.txt"
    report = await check_task(
        load_task(checked(write_task, 2, **{"tests/test.sh": tests})), provider
    )
    assert report.ok, report


APART = """\
artifacts = [{ source = "/app/out", destination = "elsewhere", exclude = ["*.tmp", "cache"] }]
[environment]
allow_internet = false
[verifier]
environment_mode = "separate"
[[verifier.collect]]
command = "exit 3"
[[verifier.collect]]
command = "echo collected > /app/out/state"
"""
APART_TEST = """\
    cd /app/out; there=$(find . -type f | sort | tr '\\n' ' ')
    [ "$there" = "./answer ./deep/answer ./state " ] && r=1 || r=0
    echo "$there"; echo $r > /logs/verifier/reward.txt
    """


async def test_a_separate_verifier_finds_artifacts_where_they_were(start, write_task, provider):
    task, sandbox = await start(write_task(**{"task.toml": APART, "tests/test.sh": APART_TEST}))
    await sandbox.exec(
        "mkdir -p out/deep/cache out/cache; cd out; touch answer a.tmp deep/answer deep/b.tmp"
        " cache/x deep/cache/y",
        timeout_s=20,
    )
    verdict = await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL)
    assert verdict.reward == 1, verdict.output
