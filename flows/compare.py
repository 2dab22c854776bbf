"""The same tasks and trials with an agent's skills and without any."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from grindstone.benchmark.skillbench import TaskPair
from grindstone.blocks import BlockNames
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.records import Arm, Episode, Purpose
from grindstone.runs.plan import pair_tasks
from grindstone.settings import CompareSettings, RunSettings
from grindstone.settings.forms import COMPARE
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly
from grindstone.text import count
from grindstone.workspace import Snapshot


@flow(name="compare", flow_run_name=named("compare"), cache_result_in_memory=False)
@told_plainly
async def compare(
    settings: Annotated[CompareSettings, COMPARE] = CompareSettings(),
    blocks: BlockNames = BlockNames(),
) -> Finished:
    """Attempt the same tasks with an agent's skills and without any, and tell the difference."""
    async with open_run("compare", settings, blocks) as run:
        note = await within_budget(_both(run))
        return await run.finish(note=note)


async def _both(run: Run[CompareSettings]) -> None:
    pairs = await asyncio.to_thread(pair_tasks, run.settings, run.planned.tasks)
    await both_arms(run, pairs, run.base, trials=run.settings.trials)


async def both_arms(
    run: Run[RunSettings], pairs: Sequence[TaskPair], snapshot: Snapshot, *, trials: int
) -> list[Episode]:
    """Attempt every task `trials` times in each arm.

    The arm without is offered no skill and loses those its image brings; prompt, memory and
    everything else is the same. The arms take turns, so that a service that slows down or
    gives way during the run does so to both.

    Args:
        run: The run.
        pairs: The tasks, for the arm with and the arm without.
        snapshot: The workspace both arms have.
        trials: Attempts per task and arm.

    Raises:
        BudgetExceededError: A ceiling was reached.
        InputError: A task is broken, or changed since the run was planned.
    """
    solvers = {
        arm: run.solver.model_copy(update={"with_skills": arm is Arm.WITH})
        for arm in (Arm.WITH, Arm.WITHOUT)
    }
    total = 2 * trials * len(pairs)
    run.note(f"With against without skills: {count(total, 'attempt')}")
    return await run.attempt_all(
        [
            run.plan_attempt(
                task, snapshot, Purpose.COMPARE, arm=arm, trial=trial, solver=solvers[arm]
            )
            for trial in range(trials)
            for pair in pairs
            for arm, task in ((Arm.WITH, pair.with_skills), (Arm.WITHOUT, pair.without_skills))
        ]
    )
