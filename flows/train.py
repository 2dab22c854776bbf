"""One training job: measure a domain, train on it, measure again, keep what helped."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.context import FlowRunContext

from grindstone.benchmark import Task
from grindstone.blocks import BlockNames, configure
from grindstone.competency.checking import folded
from grindstone.competency.jobs import TrainingJob, TrainingJobs, TrainingOutcome
from grindstone.competency.training_outcome import (
    held_out,
    practice_key,
    take_back,
    tell_tracker,
    weighed,
)
from grindstone.errors import (
    BudgetExceededError,
    GrindstoneError,
    InfrastructureError,
    InputError,
    InternalError,
)
from grindstone.flows.grind import grind
from grindstone.flows.run import Run, open_run
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import Arm, Episode, Purpose
from grindstone.runs.plan import as_planned, choose_tasks, kept_plan, open_workspace
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import CompetencySettings, GrindSettings, RunSettings, TaskSkillMode
from grindstone.settings.forms import COMPETE
from grindstone.spending import left_after
from grindstone.tasks.dispatch import send_next
from grindstone.tasks.flow_runs import given_to_a_worker, run_watcher
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly
from grindstone.tasks.turns import turn_with
from grindstone.tasks.versions import OR_UNREADABLE, require_own_version
from grindstone.workspace import Snapshot

STANDS = ("done", "unproven")
"""Trainings that are kept."""
ANY: dict[str, object] = {"category": [], "difficulty": [], "task_ids": [], "limit": None}


def _name() -> str:
    context = FlowRunContext.get()
    job = ((context.parameters if context else None) or {}).get("job")
    return f"train {getattr(job, 'domain', 'what another version sent')}"


@flow(name="train", flow_run_name=_name, cache_result_in_memory=False)
@told_plainly
async def train(
    job: Annotated[TrainingJob, OR_UNREADABLE],
    settings: Annotated[CompetencySettings, COMPETE, OR_UNREADABLE] = CompetencySettings(),
    blocks: Annotated[BlockNames, OR_UNREADABLE] = BlockNames(),
    paid: tuple[str, ...] = (),
    version: str = "",
) -> TrainingOutcome | None:
    """Train an agent in one domain; a workspace that does no better afterwards is not kept.

    The same job again goes on where it was ended. On a work pool the agent's next job is sent
    when this one has ended.

    Args:
        job: What to train.
        settings: Of the scoring run that ordered it, whose ceilings are those of all it orders.
        blocks: Saved blocks of that run.
        paid: Runs that were paid for by the same ceilings before.
        version: Of Grindstone, where the job was sent; a worker of another refuses it. Empty: it
            is not told, as where a person begins it.

    Returns:
        None when another training of this agent is running, the job has ended, or a ceiling ended
        it on a worker: it then stays active, unless the job alone has used it up before.

    Raises:
        InputError: Another version of Grindstone sent it; the job stays active.
        InfrastructureError: The job stays active and can be taken up again.
        BudgetExceededError: Likewise, where whoever ordered it waits for it.
    """
    try:
        require_own_version(version, "a training", job, settings, blocks)
        settings = await configure(settings, blocks)
    except InputError as error:
        if given_to_a_worker():  # nobody waits here for the error
            await asyncio.to_thread(_note_refusal, job, settings, error)
        raise
    blocks = BlockNames(model=blocks.model)  # the others are applied; the job has its own tasks
    jobs = TrainingJobs(settings.home, job.agent_id, kind=job.kind)
    try:
        with jobs.alone() as alone:
            if not alone or jobs.active(job.domain) != job:
                return None
            watch = current_watcher()
            async with turn_with(settings.home, job.agent_id, job.job_id, watch):
                left = await asyncio.to_thread(left_after, settings, jobs.ledger, paid)
                outcome = await _run(jobs, job, left, blocks)
            jobs.finish(job, outcome)
    except BudgetExceededError as error:
        if settings.train == "inline":
            raise  # given more, it goes on
        run_watcher()(
            Note(f"{job.domain} stays ordered, for a scoring with more to spend: {error}")
        )
        return None
    except InfrastructureError:
        await _send_next(jobs, settings, blocks, job, paid)
        raise
    await _send_next(jobs, settings, blocks, job, paid)
    return outcome


def _note_refusal(job: object, settings: object, error: InputError) -> None:
    """Note with a job why a worker does not begin it, as far as what was sent tells which it is."""
    home = settings.work_dir if isinstance(settings, RunSettings) else _sent_home()
    if isinstance(job, TrainingJob) and home is not None:
        TrainingJobs(home, job.agent_id, kind=job.kind).note(job, str(error))


def _sent_home() -> str | None:
    """Return the home that unreadable settings name."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    settings = run.parameters.get("settings") if run is not None else None
    home = settings.get("work_dir") if isinstance(settings, dict) else None
    return home if isinstance(home, str) else None


def domain_tasks(settings: RunSettings, domain: str, by: str = "category") -> tuple[Task, ...]:
    """Return the chosen tasks of a domain."""
    tasks, _ = choose_tasks(settings)
    wanted = folded(domain)
    return tuple(task for task in tasks if wanted in map(folded, domains_of(task, by)))


def domains_of(task: Task, by: str) -> Sequence[str]:
    """Return the domains a task belongs to."""
    return task.tags if by == "tags" else (task.category,)


async def _send_next(
    jobs: TrainingJobs,
    settings: CompetencySettings,
    blocks: BlockNames,
    job: TrainingJob,
    paid: Sequence[str],
) -> None:
    if settings.train != "deployment":
        return
    paid = (*paid, job.job_id, practice_key(job))
    try:
        await send_next(jobs, settings, blocks, paid, after=job)
    except BudgetExceededError as error:
        run_watcher()(Note(f"No other training is sent: {error}"))


async def _run(
    jobs: TrainingJobs, job: TrainingJob, settings: CompetencySettings, blocks: BlockNames
) -> TrainingOutcome:
    """Run a job to its end; whatever keeps it from that leaves nothing half learned."""
    if jobs.cancelled(job):
        return await _called_off(jobs, job, settings, "before it trained")
    own = (job.job_id, practice_key(job))
    jobs.start(job)
    try:
        if settings.train == "deployment":  # it would be sent, and stopped, for ever
            await asyncio.to_thread(left_after, settings, jobs.ledger, own)
    except BudgetExceededError as error:
        await asyncio.to_thread(_undo, jobs, job, settings, str(error))
        told = f"it alone has used what a scoring may spend: {error}"
        return TrainingOutcome(status="failed", note=told[:500])
    try:
        return await _train(jobs, job, settings, blocks)
    except GrindstoneError as error:
        if isinstance(error, BudgetExceededError):
            raise  # given more, it goes on
        if isinstance(error, InfrastructureError) and not isinstance(error, InternalError):
            raise  # another time it may go well
        await asyncio.to_thread(_undo, jobs, job, settings, str(error))
        return TrainingOutcome(status="failed", note=str(error)[:500])


async def _called_off(
    jobs: TrainingJobs, job: TrainingJob, settings: CompetencySettings, when: str
) -> TrainingOutcome:
    learned = await asyncio.to_thread(_undo, jobs, job, settings, "it was cancelled")
    note = "after it trained; rolled back" if learned else when
    return TrainingOutcome(status="cancelled", note=note)


def _undo(jobs: TrainingJobs, job: TrainingJob, settings: CompetencySettings, why: str) -> bool:
    """Take back what a training learned that was not carried to its end.

    Returns:
        Whether it had begun to learn.
    """
    plan = kept_plan(jobs.home, job.job_id)
    if plan is None or not jobs.ledger.rows(RunRow, practice_key(job)):
        return False
    workspace = open_workspace(settings.model_copy(update={"agent_id": job.agent_id}))
    take_back(job, workspace, plan.base, None, why)
    return True


async def _train(
    jobs: TrainingJobs, job: TrainingJob, settings: CompetencySettings, blocks: BlockNames
) -> TrainingOutcome:
    own = await asyncio.to_thread(_settings_of, job, settings)
    async with open_run("train", own, blocks) as run:
        base = run.base
        before = await _measure(run, base, Arm.BASELINE)
        if jobs.cancelled(job):
            await run.finish(note="cancelled")
            return await _called_off(jobs, job, settings, "before it trained")
        tasks, names = run.planned.tasks, [task.task_id for task in run.planned.tasks]
        held = await asyncio.to_thread(held_out, run.ledger, job.agent_id, tasks, own.held_out)
        if held:
            run.note(f"Held out of the training, and measured: {', '.join(sorted(held))}")
    practice = [name for name in names if name not in held]
    left = await asyncio.to_thread(left_after, own, jobs.ledger, [job.job_id])
    await _practise(job, left.model_copy(update={"task_ids": practice}), blocks)
    left = await asyncio.to_thread(left_after, own, jobs.ledger, [practice_key(job)])
    async with open_run("train", left, blocks) as run:
        outcome = await _weigh(run, jobs, job, base, before, held)
        told = f"{job.domain}: {outcome.status}, {outcome.note}"
        run.note(told)
        await run.finish()
    return outcome


async def _weigh(
    run: Run[CompetencySettings],
    jobs: TrainingJobs,
    job: TrainingJob,
    base: Snapshot,
    before: Sequence[Episode],
    held: Collection[str],
) -> TrainingOutcome:
    """Measure what was learned; take it back where it does not help."""
    learned = await asyncio.to_thread(run.workspace.snapshot)
    changed = learned.tree != base.tree
    if jobs.cancelled(job):
        outcome = TrainingOutcome(status="cancelled", note="after it trained; rolled back")
    else:
        after = await _measure(run, learned, Arm.CANDIDATE) if changed else before
        outcome = weighed(before, after, base, learned, scale=run.settings.base, held=held)
        if outcome.status in STANDS:
            ledger, scale = run.ledger, run.settings.base
            await asyncio.to_thread(tell_tracker, ledger, job, after, base=scale)
    if changed and outcome.status not in STANDS:
        await asyncio.to_thread(take_back, job, run.workspace, base, learned, outcome.note)
    return outcome


def _settings_of(job: TrainingJob, settings: CompetencySettings) -> CompetencySettings:
    """Return the settings of a job's own run: its tasks, its agent, its key.

    A job that was begun goes on with those it began with, whoever takes it up.
    """
    place: dict[str, object] = {"agent_id": job.agent_id, "run_key": job.job_id}
    plan = kept_plan(settings.home, job.job_id)
    if plan is not None:
        return as_planned(plan, settings.model_copy(update=place))
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
    common |= {"run_key": practice_key(job), "max_cycles": settings.max_cycles}
    if settings.evolver_model_id:
        common["evolver_model_id"] = settings.evolver_model_id
    if job.kind == "adapt":
        from grindstone.flows.adapt import adapt
        from grindstone.settings import AdaptiveSettings

        skills = await asyncio.to_thread(_skills, settings)
        # The budget is for what one job adds: what the agent brought would use it up.
        asked = AdaptiveSettings(**common, max_skills=skills + AdaptiveSettings().max_skills)
        plan = kept_plan(settings.home, practice_key(job))
        done: Finished = await adapt(asked if plan is None else as_planned(plan, asked), blocks)
    else:
        # A task's own skill would be measured as the task's answer learned by heart.
        done = await grind(GrindSettings(**common, task_skill_mode=TaskSkillMode.OFF), blocks)
    if done.report.status == "stopped":
        rows = await asyncio.to_thread(Ledger(settings.home).rows, RunRow, practice_key(job))
        raise BudgetExceededError(max(rows, key=lambda row: row.sequence).note)


def _skills(settings: CompetencySettings) -> int:
    return len(open_workspace(settings).library.names())


async def _measure(run: Run[CompetencySettings], at: Snapshot, arm: Arm) -> list[Episode]:
    """Attempt every task of the run in one state of the workspace.

    The attempts that a domain was chosen for are not used again: it was chosen because they
    went badly, and the same luck would not strike twice.
    """
    return await run.attempt_all(
        [
            run.plan_attempt(task, at, Purpose.TRAIN, arm=arm, trial=trial)
            for trial in range(run.settings.trials)
            for task in run.planned.tasks
        ]
    )
