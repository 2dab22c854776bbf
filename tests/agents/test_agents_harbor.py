"""Harbor's command line as the one who makes the attempt."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from grindstone.agents.harbor import (
    HarborOptions,
    harbor_agent,
    harbor_command,
    harbor_model,
    read_trial,
    run_harbor,
)
from grindstone.benchmark import Task, load_task
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.records import StepKind, StopReason, Usage
from grindstone.resources import bundled
from grindstone.settings import Profile, ScoreMode

ATIF: dict[str, Any] = {
    "schema_version": "ATIF-v1.5",
    "session_id": "7b1f",
    "agent": {"name": "terminus-2", "version": "2.0.0", "model_name": "anthropic/claude-x"},
    "steps": [
        {
            "step_id": 1,
            "timestamp": "2026-11-01T10:00:00.000000+00:00",
            "source": "user",
            "message": "Convert the table.",
        },
        {
            "step_id": 2,
            "timestamp": "2026-11-01T10:00:05",
            "source": "agent",
            "model_name": "anthropic/claude-x",
            "message": "Analysis: look.\nPlan: list.",
            "reasoning_content": "hm",
            "tool_calls": [
                {
                    "tool_call_id": "call_0_1",
                    "function_name": "bash_command",
                    "arguments": {"keystrokes": "cd /app\n", "duration": 0.1},
                },
                {
                    "tool_call_id": "call_0_2",
                    "function_name": "bash_command",
                    "arguments": {"keystrokes": "ls\n", "duration": 0.1},
                },
            ],
            "observation": {"results": [{"content": "New Terminal Output:\ndata"}]},
            "metrics": {"prompt_tokens": 900, "completion_tokens": 80, "cached_tokens": 500},
        },
        {
            "step_id": 3,
            "timestamp": "2026-11-01T10:00:09Z",
            "source": "agent",
            "message": [{"type": "text", "text": "Done."}],
        },
    ],
    "final_metrics": {"total_prompt_tokens": 900},
}
RESULT: dict[str, Any] = {
    "task_name": "plain-inventory",
    "trial_name": "plain-inventory__abc1234",
    "agent_info": {"name": "terminus-2", "version": "2.0.0"},
    "agent_result": {"n_input_tokens": 900, "n_output_tokens": 80, "cost_usd": 0.0123},
    "verifier_result": {"rewards": {"reward": 0.5}},
    "exception_info": None,
}


@pytest.fixture
def task() -> Task:
    return load_task(bundled("examples/tasks/plain-inventory"))


def trial(
    folder: Path,
    *,
    result: dict[str, Any] | None = None,
    reward: str | None = "0.5",
    atif: dict[str, Any] | None = ATIF,
) -> Path:
    (folder / "agent").mkdir(parents=True)
    (folder / "verifier").mkdir()
    (folder / "result.json").write_text(json.dumps({**RESULT, **(result or {})}))
    if atif is not None:
        (folder / "agent" / "trajectory.json").write_text(json.dumps(atif))
    (folder / "verifier" / "test-stdout.txt").write_text("1 failed, 1 passed\n")
    if reward is not None:
        (folder / "verifier" / "reward.txt").write_text(reward)
    return folder


def test_a_trial_folder_is_read(tmp_path: Path, task: Task) -> None:
    found = read_trial(trial(tmp_path / "t"), task, ScoreMode.REWARD)
    assert found.verdict.reward == 0.5
    assert not found.verdict.passed
    assert found.cost_usd == 0.0123
    assert found.trajectory.stop_reason is StopReason.SUBMITTED
    assert found.trajectory.submission == "Done."
    kinds = [step.kind for step in found.trajectory.steps]
    assert kinds == [StepKind.USER, StepKind.AGENT, StepKind.AGENT]
    step = found.trajectory.steps[1]
    assert [call.name for call in step.calls] == ["keystrokes", "keystrokes"]
    assert step.outputs[0].call_id == "call_0_2"
    assert step.usage == Usage(input_tokens=400, output_tokens=80, cache_read_tokens=500)
    assert step.at.tzinfo is not None


def exception(kind: str) -> dict[str, Any]:
    return {"exception_info": {"exception_type": kind, "exception_message": "why"}}


def test_an_agents_timeout_is_graded(tmp_path: Path, task: Task) -> None:
    folder = trial(tmp_path / "t", result=exception("AgentTimeoutError"), reward="0")
    found = read_trial(folder, task, ScoreMode.DUAL)
    assert found.trajectory.stop_reason is StopReason.TIME_LIMIT
    assert found.verdict.reward == 0.0


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("VerifierTimeoutError", Cause.VERIFIER_TIMEOUT),
        ("RewardFileNotFoundError", Cause.VERIFIER_BROKEN),
        ("EnvironmentBuildTimeoutError", Cause.IMAGE_BUILD),
        ("EnvironmentStartTimeoutError", Cause.SANDBOX_START),
    ],
)
def test_a_trial_that_was_not_graded_has_no_score(
    tmp_path: Path, task: Task, kind: str, cause: Cause
) -> None:
    folder = trial(tmp_path / "t", result=exception(kind), reward=None)
    with pytest.raises(InfrastructureError) as raised:
        read_trial(folder, task, ScoreMode.DUAL)
    assert raised.value.cause is cause


@pytest.mark.parametrize("reward", [None, "7", "much"])
def test_a_reward_that_cannot_be_used_is_an_error(
    tmp_path: Path, task: Task, reward: str | None
) -> None:
    with pytest.raises(InfrastructureError):
        read_trial(trial(tmp_path / "t", reward=reward), task, ScoreMode.DUAL)


def test_the_command_line_names_everything(tmp_path: Path) -> None:
    options = HarborOptions(model="anthropic/claude-x", timeout_multiplier=2, extra=("--debug",))
    command = harbor_command(
        Path("/tasks/a"), options, jobs_dir=tmp_path, job_name="j", skills=[Path("/s/one")]
    )
    line = " ".join(command)
    assert line.startswith("harbor run --path /tasks/a --agent terminus-2")
    assert "--model anthropic/claude-x" in line
    assert f"--jobs-dir {tmp_path} --job-name j" in line
    assert "--timeout-multiplier 2 --skill /s/one" in line
    assert line.endswith("--yes --debug")


def test_names_are_translated() -> None:
    assert harbor_model("claude-sonnet-4-5") == "anthropic/claude-sonnet-4-5"
    assert harbor_model("us.anthropic.claude-x-v1:0") == "bedrock/us.anthropic.claude-x-v1:0"
    assert harbor_model("claude-sonnet-4-5@20250929") == "vertex_ai/claude-sonnet-4-5@20250929"
    assert harbor_agent(Profile.ORACLE) == "oracle"
    with pytest.raises(InputError):
        harbor_model("rehearsal")
    for profile in (Profile.STRANDS, Profile.TERMINUS2_LEGACY):
        with pytest.raises(InputError, match=f"no agent like {profile.value}"):
            harbor_agent(profile)


@pytest.mark.parametrize(
    ("model", "region", "call"),
    [
        ("anthropic/claude-x", "us-west-2", {"max_tokens": 4096}),
        ("bedrock/x", "us-west-2", {"max_tokens": 4096, "aws_region_name": "us-west-2"}),
        ("vertex_ai/x", "europe-west1", {"max_tokens": 4096, "vertex_location": "europe-west1"}),
    ],
)
def test_limits_and_region_are_carried(
    tmp_path: Path, model: str, region: str, call: dict[str, Any]
) -> None:
    options = HarborOptions(model=model, region=region, max_steps=7, max_tokens=4096)
    command = harbor_command(Path("/tasks/a"), options, jobs_dir=tmp_path, job_name="j")
    given = [command[at + 1] for at, word in enumerate(command) if word == "--agent-kwarg"]
    steps, calls = given
    assert steps == "max_turns=7"
    assert json.loads(calls.removeprefix("llm_call_kwargs=")) == call


FAKE = """#!{python}
import json, pathlib, sys
arguments = dict(zip(sys.argv[2::1], sys.argv[3::1]))
assert sys.argv[1] == "run"
trial = pathlib.Path(arguments["--jobs-dir"], arguments["--job-name"], "plain-inventory__abc")
trial.mkdir(parents=True)
print("starting", file=sys.stderr)
if arguments["--agent"] == "nop":
    sys.exit("the engine is gone")
(trial / "verifier").mkdir()
(trial / "verifier" / "reward.txt").write_text("1")
(trial / "result.json").write_text(json.dumps({{"exception_info": None}}))
(trial / "seen.json").write_text(json.dumps(sys.argv))
"""


@pytest.mark.commands
async def test_the_command_is_run_and_read(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "harbor").write_text(FAKE.format(python=sys.executable))
    (programs / "harbor").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    jobs = tmp_path / "jobs"

    found = await run_harbor(
        task,
        HarborOptions(agent="oracle"),
        jobs_dir=jobs,
        job_name="one",
        score_mode=ScoreMode.DUAL,
    )
    assert found.verdict.passed
    assert found.trajectory.steps[0].message == task.instruction
    seen = json.loads((found.folder / "seen.json").read_text())
    assert seen[seen.index("--path") + 1] == str(task.path)

    with pytest.raises(InputError, match="exists already"):
        await run_harbor(
            task, HarborOptions(), jobs_dir=jobs, job_name="one", score_mode=ScoreMode.DUAL
        )
    with pytest.raises(InfrastructureError, match="the engine is gone"):
        await run_harbor(
            task,
            HarborOptions(agent="nop"),
            jobs_dir=jobs,
            job_name="two",
            score_mode=ScoreMode.DUAL,
        )


async def test_without_harbor_the_user_is_told(tmp_path: Path, task: Task) -> None:
    options = HarborOptions(executable="harbor-that-is-not-here")
    with pytest.raises(InputError, match="is not installed"):
        await run_harbor(task, options, jobs_dir=tmp_path, job_name="x", score_mode=ScoreMode.DUAL)
