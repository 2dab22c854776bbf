"""The same tasks and trials with an agent's skills and without any."""

import asyncio
from typing import Annotated

from prefect import flow

from grindstone.blocks import BlockNames
from grindstone.flows.paired import both_arms
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.runs.plan import pair_tasks
from grindstone.settings import CompareSettings
from grindstone.settings.forms import COMPARE
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly


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
