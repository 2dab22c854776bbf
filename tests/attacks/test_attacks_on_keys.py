"""What a task's folder may read of the host, and what of it is written down."""

from pathlib import Path

import pytest

from grindstone.agents.replay import remembering
from grindstone.benchmark.environ import PASS_ENV, pass_on, passed
from grindstone.benchmark.folder import TaskError
from grindstone.benchmark.loading import load_task, load_tasks
from grindstone.errors import InputError
from grindstone.llm.messages import Response, Text
from grindstone.llm.paying import masked_response
from grindstone.masking import MARK, Mask
from grindstone.records import Usage

KEY = 'sk-ant-"canary"-0001'


def task_asking(folder: Path, value: str) -> Path:
    files = {
        "instruction.md": "Do.\n",
        "task.toml": f'[environment.env]\nK = "{value}"\n',
        "environment/Dockerfile": "FROM debian:bookworm-slim\n",
        "tests/test.sh": "echo 1 > /logs/verifier/reward.txt\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    "name", ["ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "HOME", "PATH"]
)
def test_a_task_reads_nothing_of_the_host(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, KEY)
    monkeypatch.delenv(PASS_ENV, raising=False)
    with pytest.raises(TaskError, match=f"asks for {name}.*--pass-env"):
        load_task(task_asking(tmp_path / "one", f"${{{name}}}"))
    other = task_asking(tmp_path / "two", f"${{{name}:-none}}")
    assert load_task(other).env == {"K": "none"}


def test_a_task_reads_what_was_passed_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TASKS_OWN", KEY)
    monkeypatch.setenv(PASS_ENV, "OTHER, TASKS_OWN")
    assert load_task(task_asking(tmp_path / "one", "${TASKS_OWN}")).env == {"K": KEY}


@pytest.mark.parametrize(
    "name",
    [
        *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "AWS_ACCESS_KEY_ID", "GOOGLE_API_KEY"),
        *("PREFECT_SERVER_API_AUTH_STRING", "a b", "1x"),
    ],
)
def test_a_models_credentials_cannot_be_passed(name, tmp_path, monkeypatch):
    environ = {name: KEY}
    with pytest.raises(InputError, match="--pass-env"):
        pass_on([name], environ)
    with pytest.raises(InputError, match="--pass-env"):
        passed({PASS_ENV: name, name: KEY})


def test_the_tasks_beside_one_that_asks_too_much_load(tmp_path, monkeypatch):
    monkeypatch.delenv(PASS_ENV, raising=False)
    task_asking(tmp_path / "greedy", "${ANTHROPIC_API_KEY}")
    task_asking(tmp_path / "modest", "plain")
    found = load_tasks(tmp_path)
    assert [task.task_id for task in found.tasks] == ["modest"]
    assert [error.task_id for error in found.broken] == ["greedy"]


async def test_what_a_command_shows_is_masked_before_it_is_kept(sandbox, tmp_path):
    mask = Mask.of({"SOME_TOKEN": KEY, "PLAIN": "not-a-secret-at-all"})
    with remembering(sandbox, tmp_path / "commands", mask=mask) as at_work:
        run = await at_work.exec(
            "echo $K $P; echo $K | rev", timeout_s=10, env={"K": KEY, "P": "not-a-secret-at-all"}
        )
    assert run.output.splitlines()[0] == f"{MARK} not-a-secret-at-all"
    kept = (tmp_path / "commands").read_text()
    assert "canary" not in kept
    assert MARK in kept


def said(text: str) -> Response:
    return Response(content=(Text(text=text),), stop_reason="end_turn", usage=Usage(), model="m")


def test_a_models_answer_is_masked():
    mask = Mask.of({"ANTHROPIC_API_KEY": KEY})
    answer = said(f"the key is {KEY}.")
    assert masked_response(answer, mask).text == f"the key is {MARK}."
    plain = said("none")
    assert masked_response(plain, mask) is plain


def test_short_values_and_paths_are_no_keys():
    mask = Mask.of({"MAX_TOKENS": "16384", "KEY_FILE_TOKEN": "/usr/local/share"})
    assert mask("16384 in /usr/local/share") == "16384 in /usr/local/share"
