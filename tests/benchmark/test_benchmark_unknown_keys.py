"""A misspelled key of a task.toml: told, and where it may be a limit, an error."""

import shutil
from pathlib import Path

import pytest

from grindstone.benchmark import load_task, load_tasks
from grindstone.benchmark.folder import TaskError
from grindstone.benchmark.linting import lint_task
from grindstone.resources import bundled


def written(folder: Path, text: str, task_id: str = "crlf-kit") -> Path:
    task = folder / task_id
    shutil.copytree(bundled("examples/tasks") / task_id, task)
    (task / "task.toml").write_text(text)
    return task


@pytest.mark.parametrize(
    ("text", "field", "meant"),
    [
        ("[environment]\nalow_internet = false", "environment.alow_internet", "allow_internet"),
        ("[environment]\nallowInternet = false", "environment.allowInternet", "allow_internet"),
        ("[environment]\nallow-internet = false", "environment.allow-internet", "allow_internet"),
        ("[environment]\ninternet = false", "environment.internet", "allow_internet"),
        ("[environment]\nno_network = true", "environment.no_network", "network"),
        ("[environment]\nfirewall_hosts = []", "environment.firewall_hosts", "allow_internet"),
        ("[environment]\nnetwork_mod = 'none'", "environment.network_mod", "network_mode"),
        ("[environment]\nmemroy = '1G'", "environment.memroy", "environment.memory"),
        ("[environment]\nMemory = '1G'", "environment.Memory", "environment.memory"),
        ("[environment]\ncpu = 1", "environment.cpu", "environment.cpus"),
        ("[environment]\npid = 9", "environment.pid", "environment.pids"),
        ("[environment]\ngpu = 1", "environment.gpu", "environment.gpus"),
        ("[verifer]\ntimeout_sec = 5", "verifer", "verifier"),
        ("[Environment]\ncpus = 1", "Environment", "environment"),
        ("allow_internet = false", "allow_internet", "environment.allow_internet"),
        ("[agent]\nallow_internet = false", "agent.allow_internet", "environment.allow_internet"),
        (
            "[verifier.environment]\nallow_internt = false",
            "verifier.environment.allow_internt",
            "verifier.environment.allow_internet",
        ),
    ],
)
def test_what_may_be_a_limit_is_an_error(tmp_path: Path, text: str, field: str, meant: str):
    with pytest.raises(TaskError) as error:
        load_task(written(tmp_path, text))
    assert error.value.field == field
    assert f"is {meant} meant?" in error.value.problem or f".{meant} meant?" in error.value.problem


def test_all_faults_are_told_at_once(tmp_path: Path):
    with pytest.raises(TaskError) as error:
        load_task(written(tmp_path, "[environment]\nmemroy = '1G'\ncpus = 'many'"))
    assert [each.field for each in error.value.each] == ["environment.memroy", "environment.cpus"]


def test_any_other_key_is_a_warning_with_the_nearest_one(tmp_path: Path):
    text = "[agent]\ntimeout_secs = 5\nmood = 'good'\n[environment.env]\nALLOW_INTERNET = '1'\n"
    task = load_task(written(tmp_path, text))
    assert task.warnings == (
        "agent.timeout_secs is no key of task.toml and has no effect; is agent.timeout_sec meant?",
        "agent.mood is no key of task.toml and has no effect",
    )
    found = [each for each in lint_task(task) if each.rule == "unknown-key"]
    assert [each.severity for each in found] == ["warning", "warning"]
    assert "agent.timeout_sec meant?" in found[0].message


def test_keys_of_harbor_that_change_nothing_here_are_passed_over(tmp_path: Path):
    text = "version = '1.0'\nschema_version = '1.1'\n[metadata]\nnetwork = 'x'\nmemroy = 1\n"
    assert load_task(written(tmp_path, text)).warnings == ()


def test_the_bundled_tasks_have_no_key_without_effect():
    assert not any(task.warnings for task in load_tasks(bundled("examples/tasks")).tasks)
