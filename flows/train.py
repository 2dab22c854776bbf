"""One training job: measure a domain, train on it, measure again, keep what helped."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from prefect import flow

from blocks import BlockNames, configure
from flows.attempt import Wanted, attempt_all
from flows.grind import grind
from flows.opening import Opened, open_run
from grindstone.attempt.plan import choose_tasks, open_workspace
from grindstone.attempt.spec import AttemptSpec
from grindstone.benchmark import Task
from grindstone.competency.checking import folded
from grindstone.competency.jobs import TrainingJob, TrainingJobs, TrainingOutcome
from grindstone.competency.outcomes import OutcomeLog
from grindstone.competency.tracker import CompetencyTracker
from grindstone.errors import GrindstoneError, InfrastructureError, InputError
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.records import Episode, Purpose
from grindstone.settings import CompetencySettings, GrindSettings, RunSettings, TaskSkillMode
from grindstone.workspace import Snapshot
from tasks.finishing import finish_run
from tasks.progress import Progress

BEFORE, AFTER = "baseline", "candidate"
ANY: dict[str, object] = {"category": [], "difficulty": [], "task_ids": [], "limit": None}


class Measured(NamedTuple):
    """A domain's tasks attempted in one state of the workspace."""

    episodes: list[Episode]
    level: float | None  # mean score, from 0 to 1; None: nothing was scored


@flow(name="train", flow_run_name="train {job.domain}", cache_result_in_memory=False)
async def train(
    job: TrainingJob,
    settings: CompetencySettings = CompetencySettings(),  # noqa: B008 - frozen
    blocks: BlockNames = BlockNames(),  # noqa: B008 - frozen
) -> TrainingOutcome | None:
    """Train an agent in one domain; a workspace that does no better afterwards is not kept.

    The same job again goes on where it was ended.

    Returns:
        None when another training of this agent is running, or the job has ended.

    Raises:
        InfrastructureError: The job stays active and can be taken up again.
    """
    settings = await configure(settings, blocks)
    blocks = BlockNames(model=blocks.model)  # the others are applied; the job has its own tasks
    jobs = TrainingJobs(settings.work_dir.absolute(), job.agent_id, kind=job.kind)
    with jobs.alone() as alone:
        if not alone or jobs.active(job.domain) != job:
            return None
        if jobs.cancelled(job):
            outcome = TrainingOutcome(status="cancelled", note="before it ran")
        else:
            jobs.start(job)
            try:
                outcome = await _train(jobs, job, settings, blocks)
            except InfrastructureError:
                raise
            except GrindstoneError as error:
                outcome = TrainingOutcome(status="failed", note=str(error)[:500])
        jobs.finish(job, outcome)
        return outcome


def domain_tasks(settings: RunSettings, domain: str, by: str = "category") -> tuple[Task, ...]:
    """Return the chosen tasks of a domain."""
    tasks, _ = choose_tasks(settings)
    wanted = folded(domain)
    return tuple(task for task in tasks if wanted in map(folded, domains_of(task, by)))


def domains_of(task: Task, by: str) -> Sequence[str]:
    """Return the domains a task belongs to."""
    return task.tags if by == "tags" else (task.category,)


async def _train(
    jobs: TrainingJobs, job: TrainingJob, settings: CompetencySettings, blocks: BlockNames
) -> TrainingOutcome:
    own = await asyncio.to_thread(_settings_of, job, settings)
    async with open_run("train", own, blocks) as run:
        base = run.planned.plan.base
        before = await _measure(run, base, BEFORE)
        if jobs.cancelled(job):
            await finish_run(run.runtime, run.planned, note="cancelled")
            return TrainingOutcome(status="cancelled", note="before it trained")
    try:
        await _practise(job, own, blocks)
        async with open_run("train", own, blocks) as run:
            outcome = await _weigh(run, jobs, job, base, before)
            told = f"{job.domain}: {outcome.status}, {outcome.note}"
            run.runtime.tell(Progress("note", detail=told))
            await finish_run(run.runtime, run.planned)
    except InfrastructureError:
        raise
    except GrindstoneError as error:
        # What was learned and not measured is not kept.
        await asyncio.to_thread(_take_back, own, base, None, str(error))
        raise
    return outcome


async def _weigh(
    run: Opened[CompetencySettings],
    jobs: TrainingJobs,
    job: TrainingJob,
    base: Snapshot,
    before: Measured,
) -> TrainingOutcome:
    """Measure what was learned; take it back where it does not help."""
    learned = await asyncio.to_thread(run.runtime.workspace.snapshot)
    changed = learned.tree != base.tree
    if jobs.cancelled(job):
        outcome = TrainingOutcome(status="cancelled", note="after it trained; rolled back")
    else:
        after = await _measure(run, learned, AFTER) if changed else before
        outcome = _outcome(before, after, base, learned, scale=run.settings.base)
        if outcome.status == "done":
            await asyncio.to_thread(_tell_tracker, run, job, after.episodes)
    if changed and outcome.status != "done":
        await asyncio.to_thread(_take_back, run.settings, base, learned, outcome.note)
    return outcome


def _settings_of(job: TrainingJob, settings: CompetencySettings) -> CompetencySettings:
    """Return the settings of a job's own run: its tasks, its agent, its key."""
    place: dict[str, object] = {"agent_id": job.agent_id, "run_key": job.job_id}
    if job.data_path:
        return settings.model_copy(update=place | ANY | {"tasks_dir": Path(job.data_path)})
    tasks = domain_tasks(settings, job.domain, settings.domains_by)
    if not tasks:
        raise InputError(
            f"job {job.job_id}", f"no task is of the domain {job.domain!r}", "at least one"
        )
    ids = [task.task_id for task in tasks]
    return settings.model_copy(update=place | ANY | {"task_ids": ids})


async def _practise(job: TrainingJob, settings: CompetencySettings, blocks: BlockNames) -> None:
    common = {name: getattr(settings, name) for name in RunSettings.model_fields}
    common |= {"run_key": f"{job.job_id}-{job.kind}", "max_cycles": settings.max_cycles}
    if settings.evolver_model_id:
        common["evolver_model_id"] = settings.evolver_model_id
    if job.kind == "adapt":
        from flows.adapt import adapt  # noqa: PLC0415 - only for jobs of that kind
        from grindstone.settings import AdaptiveSettings  # noqa: PLC0415 - likewise

        await adapt(AdaptiveSettings(**common), blocks)
        return
    # A task's own skill would be measured as the task's answer learned by heart.
    await grind(GrindSettings(**common, task_skill_mode=TaskSkillMode.OFF), blocks)


async def _measure(run: Opened[CompetencySettings], at: Snapshot, arm: str) -> Measured:
    """Attempt every task of the run in one state of the workspace.

    The attempts that a domain was chosen for are not used again: it was chosen because they
    went badly, and the same luck would not strike twice.
    """
    wanted = [
        Wanted(
            AttemptSpec(
                home=run.runtime.home,
                run_key=run.runtime.run_key,
                agent_id=run.runtime.agent_id,
                purpose=Purpose.TRAIN,
                arm=arm,
                task_id=task.task_id,
                task_dir=task.path,
                task_digest=task.digest,
                workspace_commit=at.commit,
                workspace_tree=at.tree,
                solver=run.solver,
                trial=trial,
                model_block=run.blocks.model,
            ),
            task,
        )
        for trial in range(run.settings.trials)
        for task in run.planned.tasks
    ]
    episodes = await attempt_all(run.runtime, wanted, run.slots, run.settings.dispatch)
    scores = [episode.score for episode in episodes if episode.score is not None]
    return Measured(episodes, sum(scores) / len(scores) if scores else None)


def _outcome(
    before: Measured, after: Measured, base: Snapshot, then: Snapshot, *, scale: float
) -> TrainingOutcome:
    """Compare on the tasks and trials that were scored both times."""
    pairs = [
        (one.score, two.score)
        for one, two in zip(before.episodes, after.episodes, strict=True)
        if one.score is not None and two.score is not None
    ]
    if not pairs:
        return TrainingOutcome(status="failed", note="no attempt was scored both times")
    was, now = (scale * sum(each) / len(pairs) for each in zip(*pairs, strict=True))
    if base.tree == then.tree:
        return TrainingOutcome(
            status="unhelpful", before=was, after=was, note="nothing was learned"
        )
    told = f"{was:.2f} before, {now:.2f} after, on {len(pairs)} attempts each"
    if now > was:
        return TrainingOutcome(status="done", before=was, after=now, note=told)
    note = f"{told}; the workspace was rolled back"
    return TrainingOutcome(status="unhelpful", before=was, after=now, note=note)


def _take_back(
    settings: CompetencySettings, base: Snapshot, learned: Snapshot | None, why: str
) -> None:
    """Undo what the training changed, unless somebody changed the workspace since it was seen."""
    workspace = open_workspace(settings)
    with workspace.writing():
        now = workspace.snapshot()
        if now.tree != base.tree and (learned is None or now.commit == learned.commit):
            step = f"{settings.run_key}/rollback"
            workspace.rollback(base.commit, reason=f"Training did not help: {why}", step=step)


def _tell_tracker(
    run: Opened[CompetencySettings], job: TrainingJob, episodes: Sequence[Episode]
) -> None:
    """Let the router know what the trained agent can do now."""
    log = OutcomeLog(run.runtime.ledger, job.agent_id)
    tracker = CompetencyTracker(run.settings.base, log=log)
    for episode in episodes:
        if episode.passed is not None:
            about = OutcomeRow(
                outcome_id=episode.episode_id,
                domain=job.domain,
                success=episode.passed,
                agent_id=job.agent_id,
                episode_id=episode.episode_id,
                at=episode.ended_at,
            )
            tracker.record(job.domain, episode.passed, outcome_id=episode.episode_id, about=about)
