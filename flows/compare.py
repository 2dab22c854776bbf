"""The same tasks and trials with an agent's skills and without any."""

import asyncio
from collections.abc import Sequence

from prefect import flow

from blocks import BlockNames
from flows.attempt import Dispatch, Wanted, attempt_all
from flows.opening import Opened, open_run, within_budget
from grindstone.attempt.plan import pair_tasks
from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.benchmark import Task
from grindstone.benchmark.skillbench import TaskPair
from grindstone.ledger.comparison import WITH, WITHOUT
from grindstone.records import Episode, Purpose
from grindstone.settings import CompareSettings
from grindstone.workspace import Snapshot
from tasks.finishing import Finished, finish_run
from tasks.progress import Progress
from tasks.runtime import Runtime


@flow(name="compare", flow_run_name="compare {settings.agent_id}", cache_result_in_memory=False)
async def compare(
    settings: CompareSettings = CompareSettings(),  # noqa: B008 - frozen
    blocks: BlockNames = BlockNames(),  # noqa: B008 - frozen
) -> Finished:
    """Attempt the same tasks with an agent's skills and without any, and tell the difference.

    Args:
        settings: Which tasks, whose skills, and how often.
        blocks: Saved blocks laid over the settings.
    """
    async with open_run("compare", settings, blocks) as run:
        note = await within_budget(_both(run))
        return await finish_run(run.runtime, run.planned, note=note)


async def _both(run: Opened[CompareSettings]) -> None:
    pairs = await asyncio.to_thread(pair_tasks, run.settings, run.planned.tasks)
    await both_arms(
        run.runtime,
        pairs,
        run.planned.plan.base,
        run.solver,
        trials=run.settings.trials,
        slots=run.slots,
        dispatch=run.settings.dispatch,
        model_block=run.blocks.model,
    )


async def both_arms(
    runtime: Runtime,
    pairs: Sequence[TaskPair],
    snapshot: Snapshot,
    solver: SolverSettings,
    *,
    trials: int,
    slots: asyncio.Semaphore,
    dispatch: Dispatch = "inline",
    model_block: str | None = None,
) -> list[Episode]:
    """Attempt every task `trials` times in each arm.

    The arm without is offered no skill and loses those its image brings; prompt, memory and
    everything else is the same. The arms take turns, so that a service that slows down or
    gives way during the run does so to both.

    Args:
        runtime: The run's resources.
        pairs: The tasks, for the arm with and the arm without.
        snapshot: The workspace both arms have.
        solver: How the agent works.
        trials: Attempts per task and arm.
        slots: How many attempts may run at once.
        dispatch: Here, or on a work pool.
        model_block: A saved block with credentials, for attempts made elsewhere.

    Raises:
        BudgetExceededError: A ceiling was reached.
        InputError: A task is broken, or changed since the run was planned.
    """

    def wanted(task: Task, arm: str, trial: int) -> Wanted:
        spec = AttemptSpec(
            home=runtime.home,
            run_key=runtime.run_key,
            agent_id=runtime.agent_id,
            purpose=Purpose.COMPARE,
            arm=arm,
            task_id=task.task_id,
            task_dir=task.path,
            task_digest=task.digest,
            workspace_commit=snapshot.commit,
            workspace_tree=snapshot.tree,
            solver=solver.model_copy(update={"with_skills": arm == WITH}),
            trial=trial,
            model_block=model_block,
        )
        return Wanted(spec, task)

    total = 2 * trials * len(pairs)
    runtime.tell(Progress("note", detail=f"With against without skills: {total} attempts"))
    return await attempt_all(
        runtime,
        [
            wanted(task, arm, trial)
            for trial in range(trials)
            for pair in pairs
            for arm, task in ((WITH, pair.with_skills), (WITHOUT, pair.without_skills))
        ],
        slots,
        dispatch,
    )
