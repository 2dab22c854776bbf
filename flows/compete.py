"""Score an agent's domains from the ledger, order training for the weakest, train, score again."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from grindstone.base import Frozen
from grindstone.blocks import BlockNames, configure
from grindstone.competency.checking import check_names, folded
from grindstone.competency.jobs import TrainingJob, TrainingJobs
from grindstone.competency.measured import practised_by
from grindstone.competency.scoring import Scoring, measure_agent, score_agent
from grindstone.competency.scoring_page import headline
from grindstone.competency.training_outcome import practice_key
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.flows.train import domains_of, train
from grindstone.ledger.tables.autonomy import JobRow
from grindstone.records import Episode, Purpose
from grindstone.report.model import IncidentLine
from grindstone.runs.row import Ended, end_run
from grindstone.settings import CompetencySettings
from grindstone.settings.forms import COMPETE
from grindstone.spending import left_after
from grindstone.tasks.dispatch import send_next
from grindstone.tasks.flow_runs import named, run_key_of
from grindstone.tasks.lost_steps import losses_of
from grindstone.tasks.publish_autonomy import publish_scored
from grindstone.tasks.refusal import told_plainly
from grindstone.text import count


class Competed(Frozen):
    """What a scoring run returns."""

    run_key: str
    agent_id: str
    scorings: tuple[Scoring, ...]  # the first before training, the last after it
    enqueued: tuple[TrainingJob, ...]
    jobs: tuple[JobRow, ...]  # each domain's last job, as it stands now
    unscored: tuple[str, ...] = ()
    """Domains whose training failed; all, where no attempt of the probe has a score."""
    note: str = ""
    incidents: tuple[IncidentLine, ...] = ()
    """What it and the trainings it ran lost to errors that nobody foresaw."""


@flow(name="compete", flow_run_name=named("compete"), cache_result_in_memory=False)
@told_plainly
async def compete(
    settings: Annotated[CompetencySettings, COMPETE] = CompetencySettings(),
    blocks: BlockNames = BlockNames(),
) -> Competed:
    """Say how competent an agent is in every domain, and train it where it matters most."""
    settings = await configure(settings, blocks)
    blocks = BlockNames(model=blocks.model)  # the others are applied; a job has its own tasks
    settings = settings.model_copy(update={"run_key": run_key_of("compete", settings.run_key)})
    async with open_run("compete", settings, blocks) as run:
        domains = _domains(run)
        probed: list[Episode] = []
        note = await _probe(run, domains, probed) if settings.probe else ""
        first = await _score(run, domains, 0)
    jobs = TrainingJobs(settings.home, settings.agent_id, kind=settings.job_kind)
    enqueued: list[TrainingJob] = []
    if not note and first.result.index < settings.target_index:
        enqueued = await asyncio.to_thread(
            jobs.enqueue_from_competency,
            first.result,
            max_jobs=settings.max_jobs,
            deficit_threshold=min(settings.deficit_threshold, settings.base),
            # Training learns from what fails; where nothing does, evidence is what is missing.
            leave_out=[
                name
                for name, estimate in first.estimates.items()
                if estimate.exhausted(settings.min_episodes)
            ],
        )
    trained: list[TrainingJob] = []
    if not note:
        note = await within_budget(_train_pending(jobs, settings, blocks, trained))
    async with open_run("compete", settings, blocks) as run:
        scorings = [first, await _score(run, domains, 1)] if trained else [first]
        if enqueued and not trained:
            await publish_scored(run.runtime, first, settings)
        ended: Ended = "stopped" if note else "completed"
        await asyncio.to_thread(end_run, run.ledger, run.key, ended, note=note)
    keys = [key for job in trained for key in (job.job_id, practice_key(job))]
    latest = tuple(await asyncio.to_thread(jobs.latest))
    mine = {job.job_id for job in trained}
    failed = tuple(row.domain for row in latest if row.job_id in mine and row.status == "failed")
    blind = bool(probed) and all(episode.passed is None for episode in probed)
    return Competed(
        run_key=run.key,
        agent_id=settings.agent_id,
        scorings=tuple(scorings),
        enqueued=tuple(enqueued),
        jobs=latest,
        unscored=domains if blind else failed,
        note=note,
        incidents=await losses_of(settings.home, run.runtime.run_key, *keys),
    )


def _domains(run: Run[CompetencySettings]) -> tuple[str, ...]:
    if run.settings.domains:
        return check_names(run.settings.domains)
    by = run.settings.domains_by
    found = {folded(name): name for task in run.planned.tasks for name in domains_of(task, by)}
    return check_names(sorted(found.values()))


async def _probe(
    run: Run[CompetencySettings], domains: Sequence[str], probed: list[Episode]
) -> str:
    """Attempt the tasks of domains with too few attempts; return what ended that early.

    What was attempted is added to `probed`.

    Where nothing is left to learn from, what is missing are passes at tasks never trained on.
    """
    settings = run.settings
    known = await asyncio.to_thread(measure_agent, run.ledger, settings.agent_id, settings, domains)
    lacking = {folded(name) for name in domains if not known[name].enough}
    at = run.base
    wanted = [
        run.plan_attempt(task, at, Purpose.TRAIN, trial=trial)
        for trial in range(settings.trials)
        for task in run.planned.tasks
        if lacking.intersection(map(folded, domains_of(task, settings.domains_by)))
    ]
    shown = await asyncio.to_thread(practised_by, run.ledger, settings.agent_id)
    fresh = [t for t in run.planned.tasks if shown.isdisjoint((t.task_id, t.digest))]
    for name in domains:
        missing = known[name].unseen_missing(settings.min_episodes)
        tasks = [
            task
            for task in fresh
            if folded(name) in map(folded, domains_of(task, settings.domains_by))
        ]
        if missing and tasks:
            lacking.add(folded(name))
            wanted += [
                run.plan_attempt(
                    tasks[number % len(tasks)], at, Purpose.TRAIN, trial=number // len(tasks)
                )
                for number in range(missing)
            ]
    if not wanted:
        return ""
    told = f"Probing {count(len(lacking), 'domain')} with too few attempts: {len(wanted)} more"
    run.note(told)

    async def work() -> None:
        probed.extend(await run.attempt_all(wanted))

    return await within_budget(work())


async def _score(run: Run[CompetencySettings], domains: Sequence[str], index: int) -> Scoring:
    scored = await asyncio.to_thread(
        score_agent,
        run.ledger,
        run.settings.agent_id,
        run.settings,
        domains,
        run_key=run.key,
        index=index,
    )
    await publish_scored(run.runtime, scored, run.settings)
    run.note(headline(scored.result))
    return scored


async def _train_pending(
    jobs: TrainingJobs,
    settings: CompetencySettings,
    blocks: BlockNames,
    ended: list[TrainingJob],
) -> None:
    """Run the active jobs, those of loops before this one too; those that ended are added.

    Raises:
        BudgetExceededError: The ceilings, which are those of the scoring and all its trainings,
            were reached; the job stays active.
    """
    paid = [settings.run_key or ""]
    if settings.train == "deployment":
        await send_next(jobs, settings, blocks, paid)
    if settings.train != "inline":
        return
    for job in await asyncio.to_thread(jobs.pending):
        left = await asyncio.to_thread(left_after, settings, jobs.ledger, paid)
        if await train(job, left, blocks) is not None:
            ended.append(job)
        paid += [job.job_id, practice_key(job)]
