"""The gate: the same tasks and trials, before and after a change; accept it or roll it back."""

import asyncio
from typing import Annotated

from prefect import flow

from grindstone.attempt.arms import Arms, arms_of, keep_arms, kept_arms
from grindstone.blocks import BlockNames
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.flows.learning.batches import conditions_of
from grindstone.flows.run import open_run, within_budget
from grindstone.flows.weighing import holdout, roll_back, weigh
from grindstone.report.gate_page import Gated
from grindstone.settings import GateSettings
from grindstone.settings.forms import GATE
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly
from grindstone.tasks.runtime import Runtime


class GateFinished(Finished):
    """A gate's run: its report, and its decision unless a ceiling ended it before."""

    gated: Gated | None
    restored: bool = False


@flow(name="gate", flow_run_name=named("gate"), cache_result_in_memory=False)
@told_plainly
async def gate(
    settings: Annotated[GateSettings, GATE] = GateSettings(),
    blocks: BlockNames = BlockNames(),
) -> GateFinished:
    """Weigh one state of a workspace against another; restore the first if it is better."""
    async with open_run("gate", settings, blocks, seed="terminal") as run:
        arms = await asyncio.to_thread(_arms, run.runtime, run.settings)
        tasks = holdout(run.planned.tasks, run.settings.holdout_ratio, run.settings)
        decided: list[Gated] = []
        restored = False

        async def work() -> None:
            nonlocal restored
            decided.append(await weigh(run, tasks, arms, gate_id="gate"))
            if run.settings.roll_back:
                conditions = conditions_of(run, tasks)
                restored = await _restore_if_present(run.runtime, decided[0], arms, conditions)

        note = await within_budget(work())
        done = await run.finish(note=note)
        return GateFinished(
            report=done.report,
            folder=done.folder,
            gated=next(iter(decided), None),
            restored=restored,
        )


async def _restore_if_present(
    runtime: Runtime, gated: Gated, arms: Arms, conditions: GateConditions | None
) -> bool:
    """Roll back a rejected candidate that is the workspace's present state.

    Where infrastructure kept every attempt from a score, nothing was found out about it.
    """
    present = await asyncio.to_thread(runtime.workspace.snapshot)
    if gated.accepted or present.tree != arms.candidate.tree:
        return False
    if gated.unmeasured:
        told = "No attempt has a score: the workspace stays as it is, the same run key weighs again"
        runtime.note(told)
        return False
    row = gated.row
    await roll_back(
        runtime,
        arms,
        gate_id=row.gate_id,
        cycle=row.cycle,
        reason=row.reason,
        conditions=conditions,
    )
    return True


def _arms(runtime: Runtime, settings: GateSettings) -> Arms:
    """Return the two states, fixed at the run's first start: HEAD moves when one is rejected."""
    kept = kept_arms(runtime.home, runtime.run_key)
    if kept is not None:
        return kept
    return keep_arms(runtime.home, runtime.run_key, arms_of(runtime.workspace, settings))
