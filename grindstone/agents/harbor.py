"""Attempts made by Harbor's own command line instead of this package's solvers.

Harbor builds the sandbox, runs the agent and grades it; what it leaves in its job folder
is read back as a trajectory and a verdict. Its layout, by job and trial:

    <jobs_dir>/<job_name>/<trial>/result.json
                                  agent/trajectory.json    ATIF
                                  verifier/reward.txt      or reward.json, ctrf.json, …
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, PositiveFloat, PositiveInt

from grindstone.agents.harbor_results import read_atif, stop_reason_of
from grindstone.agents.profiles import Profile
from grindstone.agents.recorder import Recorder
from grindstone.base import Frozen
from grindstone.benchmark import Task
from grindstone.benchmark.verifier import read_verdict
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.llm import Provider, resolve_model_id
from grindstone.llm.providers import AUTO, REHEARSAL, Resolved, provider_of
from grindstone.records import StepKind, Trajectory, Verdict
from grindstone.sandbox.protocol import ExecResult, SealedResult
from grindstone.settings import ScoreMode

_PREFIXES = {
    Provider.ANTHROPIC: "anthropic/",
    Provider.BEDROCK: "bedrock/",
    Provider.VERTEX: "vertex_ai/",
    Provider.OPENAI: "openai/",
}
_REGIONS = {"bedrock": "aws_region_name", "vertex_ai": "vertex_location"}
_TAIL = 1_500
_FILE_BYTES = 20_000_000


class HarborOptions(Frozen):
    """How Harbor is called."""

    executable: str = Field("harbor", description="A name on PATH, or a path.")
    agent: str = Field("terminus-2", description="Harbor's name of the agent.")
    model: str | None = Field(None, description="As Harbor spells it: provider/model.")
    max_steps: PositiveInt | None = Field(None, description="Of the agent; None: Harbor's own.")
    max_tokens: PositiveInt | None = Field(None, description="Output tokens of one answer.")
    region: str | None = Field(None, description="Cloud region for Bedrock and Vertex.")
    environment: str = Field("docker", description="Harbor's environment type.")
    timeout_multiplier: PositiveFloat = 1.0
    limit_s: PositiveFloat = Field(7_200.0, description="Longest run of the command itself.")
    extra: tuple[str, ...] = Field((), description="Further arguments, appended as they are.")


class HarborTrial(NamedTuple):
    """One trial, read back."""

    trajectory: Trajectory
    verdict: Verdict
    cost_usd: float | None
    folder: Path


def harbor_model(model_id: str) -> str:
    """Return a model id as Harbor spells it.

    Raises:
        InputError: The rehearsal, which Harbor does not know, or an id of no known form.
    """
    chosen = resolve_model_id(AUTO, os.environ).model_id if model_id == AUTO else model_id
    if chosen == REHEARSAL:
        raise InputError("model_id", "Harbor does not know the rehearsal", "a real model's id")
    provider = provider_of(chosen)
    model = Resolved(model_id=chosen, provider=provider, reason="")
    if (
        provider not in _PREFIXES
        or model.base_url is not None
        or model.name != chosen.removeprefix("openai:")
    ):
        expected = "claude-…, Bedrock's, or openai:NAME, without an address or a region"
        raise InputError("model_id", f"Harbor is not told of {chosen}", expected)
    return _PREFIXES[provider] + model.name


def harbor_agent(profile: Profile) -> str:
    """Return Harbor's name of a profile.

    Raises:
        InputError: Harbor has no such agent.
    """
    if not profile.harbor:
        known = ", ".join(each for each in Profile if each.harbor)
        raise InputError(
            "native_profile",
            f"Harbor has no agent like {profile.value}",
            f"one of {known}, or execution_mode native",
        )
    return profile.harbor


def harbor_command(
    task_dir: Path,
    options: HarborOptions,
    *,
    jobs_dir: Path,
    job_name: str,
    skills: Sequence[Path] = (),
) -> tuple[str, ...]:
    """Return the command line for one trial of one task."""
    command = [options.executable, "run", "--path", str(task_dir), "--agent", options.agent]
    if options.model is not None:
        command += ["--model", options.model]
    command += _for_the_agent(options)
    command += ["--env", options.environment]
    command += ["--jobs-dir", str(jobs_dir), "--job-name", job_name]
    command += ["--n-attempts", "1", "--n-concurrent", "1", "--max-retries", "0"]
    if options.timeout_multiplier != 1.0:
        command += ["--timeout-multiplier", f"{options.timeout_multiplier:g}"]
    for skill in skills:
        command += ["--skill", str(skill)]
    return *command, "--quiet", "--yes", *options.extra


def _for_the_agent(options: HarborOptions) -> list[str]:
    """Return the limits as Terminus 2 takes them; what concerns a call goes on to LiteLLM."""
    call: dict[str, int | str] = {}
    if options.max_tokens is not None:
        call["max_tokens"] = options.max_tokens
    region = _REGIONS.get((options.model or "").partition("/")[0])
    if options.region is not None and region is not None:
        call[region] = options.region
    given: list[str] = []
    if options.max_steps is not None:
        given += ["--agent-kwarg", f"max_turns={options.max_steps}"]
    if call:
        given += ["--agent-kwarg", f"llm_call_kwargs={json.dumps(call)}"]
    return given


async def run_harbor(
    task: Task,
    options: HarborOptions,
    *,
    jobs_dir: Path,
    job_name: str,
    score_mode: ScoreMode,
    skills: Sequence[Path] = (),
) -> HarborTrial:
    """Let Harbor try a task once and return what came of it.

    Raises:
        InputError: Harbor is not installed, or the job folder exists already.
        InfrastructureError: Harbor failed, or left no trial that can be read.
    """
    if shutil.which(options.executable) is None:
        raise InputError(
            options.executable,
            "is not installed",
            "Harbor's command line on PATH, or execution_mode native",
        )
    job = jobs_dir / job_name
    if job.exists():
        raise InputError(str(job), "exists already", "a job name not used before")
    command = harbor_command(
        task.path, options, jobs_dir=jobs_dir, job_name=job_name, skills=skills
    )
    code, output = await _run(command, options.limit_s)
    trials = sorted(path.parent for path in job.glob("*/result.json"))
    if len(trials) != 1:
        raise InfrastructureError(
            Cause.ENGINE_UNAVAILABLE,
            f"harbor left {len(trials)} trials in {job} (exit code {code}): {output[-_TAIL:]}",
        )
    return await asyncio.to_thread(read_trial, trials[0], task, score_mode)


def read_trial(folder: Path, task: Task, score_mode: ScoreMode) -> HarborTrial:
    """Read one trial folder.

    Raises:
        InfrastructureError: The trial failed before it was graded, or its reward or its
            files cannot be used.
    """
    result = _json(folder / "result.json")
    error = result.get("exception_info") or {}
    kind = str(error.get("exception_type", ""))
    verifier = _files(folder / "verifier")
    graded = any(name in verifier for name in ("reward.txt", "reward.json"))
    if error and not graded:
        raise InfrastructureError(_cause(kind), f"{kind}: {error.get('exception_message', '')}")
    output = verifier.get("test-stdout.txt", b"").decode(errors="replace")
    verdict = read_verdict(
        SealedResult(ExecResult(0, output, timed_out=False, duration_s=0.0), verifier),
        timeout_s=task.verifier_timeout_s,
        score_mode=score_mode,
    )
    atif = folder / "agent" / "trajectory.json"
    stop = stop_reason_of(kind)
    trajectory = read_atif(_json(atif) if atif.is_file() else {}, stop)
    if not trajectory.steps:
        trajectory = _bare(task, trajectory)
    cost = (result.get("agent_result") or {}).get("cost_usd")
    return HarborTrial(
        trajectory, verdict, float(cost) if isinstance(cost, int | float) else None, folder
    )


def _bare(task: Task, trajectory: Trajectory) -> Trajectory:
    # The oracle and nop leave no trajectory file.
    record = Recorder()
    record.add(StepKind.USER, task.instruction)
    return record.finish(trajectory.stop_reason)


def _cause(kind: str) -> Cause:
    if "Verifier" in kind or "Reward" in kind:
        timed_out = "Timeout" in kind
        return Cause.VERIFIER_TIMEOUT if timed_out else Cause.VERIFIER_BROKEN
    if "Build" in kind:
        return Cause.IMAGE_BUILD
    return Cause.SANDBOX_START


async def _run(command: Sequence[str], limit_s: float) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError:
        raise InfrastructureError(
            Cause.ENGINE_UNAVAILABLE, f"harbor did not end within {limit_s:g} s"
        ) from None
    finally:
        if process.returncode is None:
            process.terminate()  # Harbor removes its containers when told to end
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace")


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InfrastructureError(Cause.SANDBOX_IO, f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise InfrastructureError(Cause.SANDBOX_IO, f"{path}: expected a JSON object")
    return value


def _files(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _FILE_BYTES
    }
