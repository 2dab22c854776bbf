"""The exam: edge cases, attempted for real."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from grindstone.blocks import BlockNames
from grindstone.boundary import step_boundary
from grindstone.errors import Cause, InfrastructureError
from grindstone.flows.run import open_planned, prepared
from grindstone.graduation.decisions.edge_cases import EdgeCase, case_task
from grindstone.graduation.decisions.exam import Examiner, ExamResult, examine
from grindstone.graduation.decisions.exam_pool import named_cases, pool_of
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.words import case_line, exam_line
from grindstone.records import Episode, Outcome, Purpose
from grindstone.runs.incidents import spared
from grindstone.runs.plan import Planned, RunPlan, open_workspace
from grindstone.runs.progress import Note
from grindstone.settings import GraduationSettings
from grindstone.settings.forms import EXAM
from grindstone.tasks.flow_runs import named, run_key_of, run_log
from grindstone.tasks.graduation import open_service, seal_changes
from grindstone.tasks.lost_steps import losses_of
from grindstone.tasks.publish_autonomy import publish_exam, publish_trail
from grindstone.tasks.refusal import told_plainly
from grindstone.text import count


@flow(name="exam", flow_run_name=named("exam"), cache_result_in_memory=False)
@told_plainly
async def exam(
    settings: Annotated[GraduationSettings, EXAM] = GraduationSettings(),
    blocks: BlockNames = BlockNames(),
) -> ExamResult:
    """Have an agent attempt the edge cases on which others failed; keep what came of it."""
    async with prepared("exam", settings, blocks) as own:
        key = str(own.run_key)
        found = await _exam(own, blocks, key)
    return found.model_copy(update={"incidents": await losses_of(own.home, key)})


async def _exam(settings: GraduationSettings, blocks: BlockNames, key: str) -> ExamResult:
    """Hold an exam.

    Raises:
        InternalError: It could not be held, for reasons nobody foresaw.
    """
    take = examiner(settings, blocks)
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        registry = service.registry
        known = len(await asyncio.to_thread(registry.chain.events))
        scope = registry.scope_name(settings.agent_id, settings.scope)
        target = await asyncio.to_thread(
            registry.target_of, settings.agent_id, settings.target, scope
        )
        if settings.cases:
            cases = await asyncio.to_thread(named_cases, registry, settings.cases)
        else:
            policy = registry.policy(settings.agent_id, scope)
            pool = await asyncio.to_thread(pool_of, registry, policy, settings.agent_id)
            cases = pool.cases
        log = run_log()
        log(Note(_set_out(settings.agent_id, target, cases)))
        with step_boundary(f"exam of {settings.agent_id}"):
            found = await examine(registry, settings.agent_id, target, cases, take, scope)
        for case in found.cases:
            log(Note(case_line(case)))
        log(Note(exam_line(found)))
        await seal_changes(service, known, settings)
        with spared("what the UI shows of the exam"):
            await publish_exam(found)
            await publish_trail(await service.trail(settings.agent_id, scope))
    return found


def _set_out(agent_id: str, target: Level, cases: Sequence[EdgeCase]) -> str:
    """Return what the run's log begins with."""
    on = ", ".join(case.title for case in cases)
    what = f"{count(len(cases), 'case')}: {on}" if cases else "no case"
    return f"Exam of {agent_id} for {target.value} on {what}"


def examiner(settings: GraduationSettings, blocks: BlockNames = BlockNames()) -> Examiner:
    """Return what makes an exam's attempts, by the settings of a run.

    Args:
        settings: Model, profile, sandbox, ceilings; `run_key` resumes an exam.
        blocks: Saved blocks.
    """

    async def attempt_cases(
        agent_id: str, cases: Sequence[EdgeCase]
    ) -> Sequence[Episode | InfrastructureError]:
        return await _attempt_cases(settings, blocks, agent_id, cases)

    return attempt_cases


async def _attempt_cases(
    settings: GraduationSettings, blocks: BlockNames, agent_id: str, cases: Sequence[EdgeCase]
) -> Sequence[Episode | InfrastructureError]:
    settings = settings.model_copy(update={"agent_id": agent_id})
    key = run_key_of("exam", settings.run_key)
    home = settings.home
    tasks = [await asyncio.to_thread(case_task, home, case) for case in cases]
    workspace = await asyncio.to_thread(open_workspace, settings)
    base = await asyncio.to_thread(workspace.snapshot)
    plan = RunPlan(
        run_key=key,
        kind="exam",
        settings={},
        tasks={task.task_id: task.digest for task in tasks},
        base=base,
    )
    planned = Planned(plan=plan, tasks=tuple(tasks), broken=(), resumed=False)
    async with open_planned(planned, settings, blocks) as run:
        episodes = await run.attempt_all(
            [
                run.plan_attempt(task, base, Purpose.EXAM, trial=number)
                for number, task in enumerate(tasks)
            ]
        )
        await run.finish()
    return [_or_error(episode) for episode in episodes]


def _or_error(episode: Episode) -> Episode | InfrastructureError:
    if episode.outcome is not Outcome.ERROR:
        return episode
    known = episode.error_cause in set(Cause)
    cause = Cause(episode.error_cause) if known else Cause.SANDBOX_IO
    return InfrastructureError(cause, episode.error_detail)
