"""A single try at a single task: the grind, asked for by a form of its own."""

from typing import Annotated

from prefect import flow

from grindstone.blocks import BlockNames
from grindstone.flows.grind import grind_tasks
from grindstone.settings import OneTaskSettings
from grindstone.settings.forms import ONE_TASK
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly


@flow(name="grind", flow_run_name=named("grind"), cache_result_in_memory=False)
@told_plainly
async def grind(
    settings: Annotated[OneTaskSettings, ONE_TASK] = OneTaskSettings(),  # noqa: B008 - frozen
    blocks: BlockNames = BlockNames(),
) -> Finished:
    """Try one task once and learn nothing from it."""
    return await grind_tasks(settings.grind, blocks)
