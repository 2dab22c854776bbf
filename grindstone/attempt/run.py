"""Making one attempt: sandbox, skills, agent, verdict, record.

What is raised from here is infrastructure or the user's to mend. Whatever the agent did
becomes an episode.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from grindstone.agents import build_system_prompt, solver_for
from grindstone.agents.agent_image import with_agent
from grindstone.agents.injection import inject_skills
from grindstone.agents.plugins import solved_by
from grindstone.agents.profiles import Profile
from grindstone.agents.protocol import Brief, Effort, SkillCard
from grindstone.agents.replay import remembering
from grindstone.agents.skill_use import SkillUse, skill_uses
from grindstone.agents.tool_scripts import ToolScript, lay_tools
from grindstone.attempt.spec import AttemptSpec
from grindstone.benchmark import (
    Task,
    build_spec,
    grade_task,
    load_task,
    score_of,
    start_task,
)
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.llm.calls import CallRecord
from grindstone.llm.messages import Model
from grindstone.masking import NO_MASK, Mask
from grindstone.observe.signals import Signals, extract_signals
from grindstone.records import (
    Episode,
    FailureClass,
    Outcome,
    StopReason,
    Trajectory,
    Usage,
    Verdict,
    utc_now,
)
from grindstone.sandbox.owner import run_labels
from grindstone.sandbox.protocol import Sandbox, SandboxProvider
from grindstone.skills import Skill, SkillLibrary, render
from grindstone.skills.selection import select_skills
from grindstone.workspace.files import WorkspaceFiles


class AttemptResources(NamedTuple):
    """What an attempt works with; opened once per run."""

    provider: SandboxProvider
    model: Model | None  # None for oracle and nop
    workspace: Path  # a frozen copy of the workspace at the spec's commit
    calls_of: Callable[[str], Sequence[CallRecord]]  # the model calls of an episode so far
    command_log: Path | None = None  # what its commands showed; see `agents.replay`
    mask: Mask = NO_MASK  # replaces known keys in what its commands show


class OfferedSkill(NamedTuple):
    """A skill that was laid into the sandbox, and why it was chosen."""

    skill: Skill
    own: bool  # the task's own skill
    method: str  # all, keyword, semantic, bm25 or own
    score: float
    reason: str = ""


class AttemptResult(NamedTuple):
    """All an attempt leaves."""

    episode: Episode
    trajectory: Trajectory
    verdict: Verdict
    offered: tuple[OfferedSkill, ...]
    uses: tuple[SkillUse, ...]
    signals: Signals


async def attempt(spec: AttemptSpec, resources: AttemptResources) -> AttemptResult:
    """Let the agent try the task once and grade what it left.

    Raises:
        InfrastructureError: The attempt has no score.
        InputError: The task is broken, or changed since the run was planned.
        BudgetExceededError: A ceiling was reached on the way.
    """
    task = await asyncio.to_thread(_load, spec)
    if task.digest != spec.task_digest:
        raise InputError(
            str(spec.task_dir), "changed since the run was planned", "the same files all along"
        )
    started = utc_now()
    files = WorkspaceFiles(resources.workspace)
    offered = _choose(spec, task, resources.workspace)
    sandbox = await _start(spec, task, resources.provider)
    try:
        cards = await _lay(spec, sandbox, offered, resources.workspace)
        tools = await lay_tools(sandbox, files.tools()) if spec.solver.profile.aided else ()
        brief = _brief(spec, task, cards, tools, files)
        with remembering(sandbox, resources.command_log, mask=resources.mask) as at_work:
            solver = solver_for(
                spec.solver.profile, agent=spec.solver.agent, plugin=spec.solver.plugin
            )
            if spec.solver.profile is Profile.CODE:
                trajectory = await solved_by(solver, brief, at_work, resources.model)
            else:
                trajectory = await solver.solve(brief, at_work, resources.model)
        verdict = await grade_task(
            task,
            sandbox,
            resources.provider,
            score_mode=spec.solver.score_mode,
            separate=spec.solver.verifier == "separate",
            trust_disputed=spec.solver.trust_disputed,
            labels=_labels(spec),
        )
        kills = 0 if verdict.passed else await _memory_kills(sandbox)
    except InfrastructureError as error:
        error.agent_began = bool(resources.calls_of(spec.episode_id))
        raise
    finally:
        resources.provider.discard(sandbox)
    uses = skill_uses(
        spec.episode_id, trajectory, {item.skill.name: render(item.skill) for item in offered}
    )
    return AttemptResult(
        episode=_episode(spec, task, resources, trajectory, verdict, started, kills),
        trajectory=trajectory,
        verdict=verdict,
        offered=offered,
        uses=uses,
        signals=extract_signals(trajectory),
    )


async def _memory_kills(sandbox: Sandbox) -> int:
    """Return what the sandbox tells; one that was lost after its verdict tells nothing."""
    try:
        return await sandbox.memory_kills()
    except InfrastructureError:
        return 0


def error_episode(spec: AttemptSpec, task: Task, error: Exception, cause: str) -> Episode:
    """Return the record of an attempt that has no verdict after its last try.

    Infrastructure that gave way without the agent leaves no score; the record gives way in the
    ledger to the episode with a score, should the attempt be made again. A sandbox that was lost
    or could not be used each time, after the agent had begun to work in it, is a score of 0:
    otherwise ending its sandbox would be better for an agent than failing.
    """
    now = utc_now()
    if _agents_doing(error):
        return Episode(
            **_identity(spec, task),
            outcome=Outcome.FAILED,
            reward=0.0,
            score=0.0,
            failure_class=FailureClass.TEST_FAIL,
            error_cause=cause,
            error_detail=str(error)[:2000],
            basis="void",
            evidence=str(error)[:2000],
            exposed=task.exposed,
            started_at=now,
            ended_at=now,
        )
    return Episode(
        **_identity(spec, task),
        outcome=Outcome.ERROR,
        error_cause=cause,
        error_detail=str(error)[:2000],
        started_at=now,
        ended_at=now,
    )


def _agents_doing(error: Exception) -> bool:
    return (
        isinstance(error, InfrastructureError)
        and error.agent_began
        and error.cause in (Cause.CONTAINER_LOST, Cause.SANDBOX_IO)
    )


def _load(spec: AttemptSpec) -> Task:
    """Return the task with its limits as this run scales them."""
    task = load_task(spec.task_dir)
    scale = spec.solver.timeout_multiplier
    headroom = {"memory_headroom": spec.solver.memory_headroom}
    separate = task.verifier_limits
    return task.model_copy(
        update={
            "limits": task.limits.model_copy(update=headroom),
            "verifier_limits": separate and separate.model_copy(update=headroom),
        }
        | {
            name: getattr(task, name) * scale
            for name in ("agent_timeout_s", "verifier_timeout_s", "build_timeout_s")
        }
    )


def _choose(spec: AttemptSpec, task: Task, workspace: Path) -> tuple[OfferedSkill, ...]:
    solver = spec.solver
    if not solver.profile.aided or not solver.with_skills:
        return ()
    library = SkillLibrary(workspace)
    skills = {skill.name: skill for skill in library.skills() if skill.name != solver.without_skill}
    chosen = select_skills(
        tuple(skills.values()),
        task.instruction,
        category=task.category,
        limit=solver.skill_select_limit,
        method=solver.selection.value,
    )
    offered = [
        OfferedSkill(
            skills[item.name],
            own=False,
            method=item.method,
            score=item.score,
            reason=item.reason,
        )
        for item in chosen
    ]
    own = library.task_skill(task.task_id)
    if own is not None:
        offered = [item for item in offered if item.skill.name != own.name]
        offered.append(OfferedSkill(own, own=True, method="own", score=0.0))
    return tuple(offered)


async def _start(spec: AttemptSpec, task: Task, provider: SandboxProvider) -> Sandbox:
    build, agent = build_spec(task), spec.solver.agent
    if agent is not None:
        build = await asyncio.to_thread(with_agent, build, agent)
    image = await provider.build(build)
    return await start_task(task, provider, image, labels=_labels(spec), listens=agent is not None)


def _labels(spec: AttemptSpec) -> dict[str, str]:
    return {**run_labels(spec.home, spec.run_key), "episode": spec.episode_id}


async def _lay(
    spec: AttemptSpec, sandbox: Sandbox, offered: Sequence[OfferedSkill], workspace: Path
) -> tuple[SkillCard, ...]:
    if not spec.solver.profile.aided:
        return ()
    library = SkillLibrary(workspace)
    folders = {
        item.skill.name: library.task_folder(spec.task_id)
        if item.own
        else library.folder(item.skill.name)
        for item in offered
    }
    return await inject_skills(sandbox, folders, strip_existing=not spec.solver.with_skills)


def _brief(
    spec: AttemptSpec,
    task: Task,
    cards: Sequence[SkillCard],
    tools: Sequence[ToolScript],
    files: WorkspaceFiles,
) -> Brief:
    solver = spec.solver
    prompt = ""
    if solver.profile.aided:
        prompt = build_system_prompt(
            files.system_prompt(), files.memories(), cards, solver.profile, tools
        )
    return Brief(
        episode_id=spec.episode_id,
        task_id=task.task_id,
        instruction=task.instruction,
        system_prompt=prompt,
        skills=tuple(cards),
        solution_dir=str(task.solution_dir) if solver.profile.gets_solution else None,
        solution_env=task.solution_env,
        effort=Effort(
            max_steps=solver.max_steps,
            time_limit_s=task.agent_timeout_s,
            max_output_tokens=solver.max_tokens,
            context_tokens=solver.context_tokens,
        ),
    )


def _identity(spec: AttemptSpec, task: Task) -> dict[str, Any]:
    return {
        "episode_id": spec.episode_id,
        "run_key": spec.run_key,
        "agent_id": spec.agent_id,
        "purpose": spec.purpose,
        "arm": spec.arm,
        "task_id": task.task_id,
        "task_digest": task.digest,
        "category": task.category,
        "difficulty": task.difficulty,
        "tags": task.tags,
        "title": task.title,
        "workspace_commit": spec.workspace_commit,
        "workspace_tree": spec.workspace_tree,
        "model": spec.solver.model_id,
        "profile": spec.solver.profile_name,
        "sandbox": spec.solver.sandbox,
        "rehearsal": spec.solver.rehearsal,
        "trial": spec.trial,
        "cycle": spec.cycle,
        "batch": spec.batch,
    }


def _episode(
    spec: AttemptSpec,
    task: Task,
    resources: AttemptResources,
    trajectory: Trajectory,
    verdict: Verdict,
    started: datetime,
    memory_kills: int,
) -> Episode:
    calls = resources.calls_of(spec.episode_id)
    costs = [call.cost_usd for call in calls]
    usage = sum((call.usage + call.lost for call in calls), start=Usage())
    identity = _identity(spec, task)
    # A server may call itself a rehearsal whatever model it is asked for.
    identity["rehearsal"] |= any(call.rehearsal for call in calls)
    return Episode(
        **identity,
        outcome=Outcome.PASSED if verdict.passed else Outcome.FAILED,
        reward=verdict.reward,
        score=score_of(verdict, spec.solver.score_mode),
        failure_class=failure_class_of(verdict, trajectory),
        stop_reason=trajectory.stop_reason.value,
        turns=sum(1 for step in trajectory.steps if step.kind.value == "agent"),
        tool_calls=sum(len(step.calls) for step in trajectory.steps),
        tests_passed=verdict.tests_passed,
        tests_total=len(verdict.tests),
        usage=usage,
        cost_usd=None if any(cost is None for cost in costs) else sum(filter(None, costs)),
        basis=verdict.basis,
        evidence="; ".join(verdict.evidence)[:2000],
        exposed=task.exposed,
        memory_mb=task.limits.memory_mb,
        memory_limit_mb=task.limits.memory_limit_mb,
        memory_kills=memory_kills,
        started_at=started,
        ended_at=utc_now(),
    )


def failure_class_of(verdict: Verdict, trajectory: Trajectory) -> FailureClass:
    """Return in which way an attempt with a verdict failed, if it did."""
    if verdict.passed:
        return FailureClass.NONE
    if trajectory.stop_reason is StopReason.TIME_LIMIT:
        return FailureClass.AGENT_TIMEOUT
    if trajectory.stop_reason is not StopReason.SUBMITTED:
        return FailureClass.NOT_SUBMITTED
    return FailureClass.TEST_FAIL
