"""What grind and adapt share: how far a run has come, and what it asks of its learning steps."""

import asyncio
from collections.abc import Iterable, Sequence

from grindstone.agents.agent_file import load_agent
from grindstone.benchmark import Task
from grindstone.evolve.behaviour import JudgedAttempt
from grindstone.evolve.gate_conditions import GateConditions, tasks_mark
from grindstone.flows.run import Run
from grindstone.ledger.tables.runs import BatchRow, CycleNote
from grindstone.runs.batches import finish_batch, finished_batches
from grindstone.runs.stability import Stability
from grindstone.settings import AdaptiveSettings, GateSettings, GrindSettings, SuccessMode
from grindstone.tasks.evolve import EvolveSpec
from grindstone.tasks.write_skill import WriteKind, WriteSpec
from grindstone.workspace import Snapshot

Learning = AdaptiveSettings | GrindSettings


async def take_up(run: Run[Learning], stability: Stability) -> list[BatchRow]:
    """Return the batches an earlier process worked through, their cycles counted."""
    done = await asyncio.to_thread(finished_batches, run.ledger, run.key)
    for row in done:
        await count_cycles(run, stability, row.cycles)
    return done


async def count_cycles(
    run: Run[Learning], stability: Stability, cycles: Sequence[CycleNote]
) -> None:
    """Count cycles towards the point where the skill library has settled."""
    await asyncio.to_thread(stability.note, run.ledger, run.key, cycles)


async def end_batch(
    run: Run[Learning],
    number: int,
    tasks: Iterable[Task],
    *,
    unscored: Sequence[str] = (),
    cycles: Sequence[CycleNote],
    after: Snapshot,
) -> None:
    """Note that a batch was worked through, so that a resumed run goes on after it."""
    await asyncio.to_thread(
        finish_batch,
        run.ledger,
        run.key,
        number,
        [task.task_id for task in tasks],
        unscored=unscored,
        cycles=cycles,
        after=after,
    )


def conditions_of(run: Run[Learning | GateSettings], held: Sequence[Task]) -> GateConditions | None:
    """Return what a run's gate weighs changes on; None where it has no tasks for it."""
    if not held:
        return None
    return GateConditions(
        run_key=run.key,
        model=run.solver.model_id,
        profile=run.solver.profile.value,
        tasks=tasks_mark(held),
        rule=run.settings.gate_rule,
        trials=run.settings.gate_trials,
    )


def evolution_of(
    run: Run[Learning],
    at: Snapshot,
    *,
    step: str,
    batch: int,
    cycle: int,
    episode_ids: Iterable[str],
    tasks: Iterable[Task],
    held: Sequence[Task],
    success_mode: SuccessMode,
    judged: Sequence[JudgedAttempt] | None = None,
) -> EvolveSpec:
    """Return what the run's evolver is to learn from.

    Args:
        run: The run, whose settings say what may change.
        at: The workspace before.
        step: Unique within the run.
        batch: Of the run.
        cycle: Of the run.
        episode_ids: The attempts it is shown.
        tasks: Their tasks.
        held: The tasks the change is weighed on.
        success_mode: Whether it is shown drafts.
        judged: Given: behaviour alone is shown, with the judge's word.
    """
    settings = run.settings
    return EvolveSpec(
        home=run.home.root,
        run_key=run.key,
        step=step,
        base=at,
        scope=settings.scope(),
        model_id=run.model(settings.evolver_model_id),
        region=settings.region,
        feedback_level=settings.feedback_level,
        episode_ids=tuple(episode_ids),
        task_dirs={task.task_id: task.path for task in tasks},
        batch=batch,
        cycle=cycle,
        success_mode=success_mode,
        evolver=load_agent(settings.evolver_agent) if settings.evolver_agent else None,
        conditions=conditions_of(run, held),
        judged=None if judged is None else tuple(judged),
    )


def writing_of(
    run: Run[Learning],
    at: Snapshot,
    kind: WriteKind,
    *,
    batch: int,
    cycle: int,
    tasks: Iterable[Task],
    held: Sequence[Task] = (),
    task_id: str = "",
    episode_id: str = "",
) -> WriteSpec:
    """Return a skill the run is to have written, by its evolver's model.

    Args:
        run: The run.
        at: The workspace before.
        kind: What is written.
        batch: Of the run.
        cycle: Of the run.
        tasks: The task it is about first; the answers of all are kept out.
        held: The tasks the change is weighed on, where it is.
        task_id: The task it is about; empty for all.
        episode_id: The attempt it learns from; empty: the task's text alone.
    """
    settings = run.settings
    return WriteSpec(
        home=run.home.root,
        run_key=run.key,
        kind=kind,
        base=at,
        model_id=run.model(settings.evolver_model_id),
        region=settings.region,
        feedback_level=settings.feedback_level,
        no_direct_answers=settings.no_direct_answers,
        task_dirs={task.task_id: task.path for task in tasks},
        conditions=conditions_of(run, held),
        task_id=task_id,
        episode_id=episode_id,
        batch=batch,
        cycle=cycle,
    )
