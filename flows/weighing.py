"""Weighing a change of a workspace: by a run's gate, and by what a learning run holds out."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from grindstone.attempt.arms import Arms
from grindstone.attempt.gate_decision import (
    gate_rule,
    gate_sentence,
    n_clusters,
    open_still,
    record_gate,
)
from grindstone.attempt.gate_memory import decided_before
from grindstone.benchmark import Task
from grindstone.benchmark.dataset import split
from grindstone.boundary import step_boundary
from grindstone.errors import InternalError
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.evolve.rejected import lapsed_rejection
from grindstone.flows.learning.batches import Learning, conditions_of
from grindstone.flows.learning.unweighed import bring_back, take_away
from grindstone.flows.paired import attempts_of, compare_arms
from grindstone.flows.run import Run
from grindstone.ledger.tables.runs import EvolutionRow
from grindstone.records import utc_now
from grindstone.report.gate_page import Gated
from grindstone.report.markdown_gates import gate_headline
from grindstone.settings import GateOptions, GateSettings
from grindstone.tasks.publish import publish_gate
from grindstone.tasks.runtime import Runtime
from grindstone.text import count
from grindstone.workspace import Snapshot, Workspace

Gating = GateSettings | Learning


class Shares(NamedTuple):
    """A run's tasks: those it learns from, and those its gate weighs changes on."""

    train: tuple[Task, ...]
    held: tuple[Task, ...]


def shares_of(run: Run[Learning]) -> Shares:
    """Return which of a run's tasks are held out, and say so.

    The held-out tasks are drawn once per run; no attempt at them is ever shown to an evolver.
    """
    options, tasks = run.settings, run.planned.tasks
    some = options.holdout_ratio > 0 and len(tasks) > 1
    # The ratio is a share of all tasks, and the sealed ones are not among these.
    ratio = min(options.holdout_ratio * len(run.planned.plan.tasks) / len(tasks), 0.99)
    held = holdout(tasks, ratio, options) if some else ()
    train = tuple(task for task in tasks if task not in held)
    told = f"{count(len(train), 'task')} to learn from, {len(held)} held out for the gate"
    run.note(told if held else f"{told}: no gate")
    if held and options.gate_rule == "higher" and options.gate_second_looks:
        most, each = options.gate_second_looks, 2 * len(held) * options.gate_trials
        run.note(f"Up to {most} candidates near the edge are looked at again, {each} attempts each")
    return Shares(train, held)


def holdout(tasks: Sequence[Task], ratio: float | None, options: GateOptions) -> tuple[Task, ...]:
    """Return the tasks of a gate: a seeded share of every category, or all of them."""
    if ratio is None:
        return tuple(tasks)
    return split(tasks, holdout_ratio=ratio, seed=options.split_seed).holdout


async def weigh(
    run: Run[Gating],
    tasks: Sequence[Task],
    arms: Arms,
    *,
    gate_id: str,
    cycle: int = 0,
    known: str = "",
) -> Gated:
    """Attempt tasks in both arms until the verdict is settled; decide, record and show it.

    A gate that this run decided before is returned as it was.

    Args:
        run: The run the gate belongs to.
        tasks: What is attempted; none of them may have taught the candidate anything.
        arms: Before and after.
        gate_id: Names the gate within the run.
        cycle: The run's cycle.
        known: What is known of the change from before; told with the reason.

    Raises:
        BudgetExceededError: A ceiling was reached.
    """
    options = run.settings
    said = await asyncio.to_thread(gate_sentence, options, tasks)
    run.note(said)
    before = await asyncio.to_thread(decided_before, run.ledger, run.key, gate_id, said)
    about = {"rehearsal": run.solver.rehearsal}
    if before is not None:
        return before.model_copy(update=about)
    trials = options.gate_trials
    plan = attempts_of(run, tasks, arms, trials=range(trials), cycle=cycle)
    rule = gate_rule(options) if options.gate_early_stop else None
    pairs = await compare_arms(run, plan, gate_id=gate_id, until_settled=rule)
    n_left_out = len(plan) - len(pairs)
    if not n_left_out and await asyncio.to_thread(open_still, run.ledger, options, pairs):
        run.note("Near the edge: the same tasks are tried as often again")
        more = attempts_of(run, tasks, arms, trials=range(trials, 2 * trials), cycle=cycle)
        pairs += await compare_arms(run, more, gate_id=gate_id, until_settled=None)
    gated = await asyncio.to_thread(
        record_gate,
        run.ledger,
        run.key,
        options,
        arms,
        pairs,
        gate_id=gate_id,
        cycle=cycle,
        n_clusters=n_clusters(tasks),
        said=said,
        known=known,
        n_left_out=n_left_out,
    )
    gated = gated.model_copy(update=about)
    await publish_gate(run.runtime, gated)
    run.note(f"Gate {gate_id}: {gate_headline(gated.row)}. {gated.row.reason}")
    return gated


async def weighed(
    run: Run[Learning],
    before: Snapshot,
    after: Snapshot,
    held: Sequence[Task],
    *,
    gate_id: str,
    cycle: int,
) -> Snapshot:
    """Weigh a change of a learning run on its held-out tasks, and undo it when it is rejected.

    Returns:
        What stands: `after` where it is accepted, or where there is nothing to weigh or to
        weigh it on; else the workspace with the files of `before`.
    """
    if not held or before.tree == after.tree:
        return after
    arms = Arms(baseline=before, candidate=after)
    conditions = conditions_of(run, held)
    if not await asyncio.to_thread(bring_back, run.runtime, arms, gate_id):
        return await asyncio.to_thread(run.workspace.snapshot)
    try:
        with step_boundary(f"gate {gate_id}"):
            known = await asyncio.to_thread(_rejected_before, run.workspace, arms, conditions)
            gated = await weigh(run, held, arms, gate_id=gate_id, cycle=cycle, known=known)
        if gated.accepted:
            with step_boundary(f"gate {gate_id}, against the start"):
                gated = await _anchored(run, gated, after, held, gate_id=gate_id, cycle=cycle)
        if gated.accepted:
            return after
        reason = gated.row.reason
        if not gated.comparison.n_pairs:
            conditions = None
    except InternalError as error:  # what could not be weighed does not stand
        conditions, reason = None, str(error)
        run.note(reason)
    except BaseException:  # a ceiling, a person or an outage ended the run
        take_away(run.runtime, arms, gate_id)
        raise
    return await roll_back(
        run.runtime, arms, gate_id=gate_id, cycle=cycle, reason=reason, conditions=conditions
    )


def _rejected_before(workspace: Workspace, arms: Arms, conditions: GateConditions | None) -> str:
    if conditions is None:
        return ""
    return lapsed_rejection(workspace, arms.baseline.commit, arms.candidate.commit, conditions)


async def _anchored(
    run: Run[Learning],
    gated: Gated,
    after: Snapshot,
    held: Sequence[Task],
    *,
    gate_id: str,
    cycle: int,
) -> Gated:
    """Weigh what a gate let pass against the state the run began with.

    Changes that each cost too little to be seen would else add up. What both states' gates
    attempted is reused; only what is shown to be worse is rejected.

    Returns:
        The decision that counts: the gate's own where the start was its baseline.
    """
    start, options = run.base, run.settings
    commit = gated.row.commit_before
    before = await asyncio.to_thread(run.workspace.snapshot, commit)
    if not options.gate_anchor or start.tree in (before.tree, after.tree):
        return gated
    rule = {"gate_rule": "no_regression", "gate_threshold": 0.0, "gate_on_cannot_tell": "accept"}
    anchoring = dataclasses.replace(run, settings=options.model_copy(update=rule))
    arms = Arms(baseline=start, candidate=after)
    return await weigh(anchoring, held, arms, gate_id=f"{gate_id}-anchor", cycle=cycle)


async def roll_back(
    runtime: Runtime,
    arms: Arms,
    *,
    gate_id: str,
    cycle: int,
    reason: str,
    conditions: GateConditions | None,
) -> Snapshot:
    """Restore the baseline's files by a new commit, and note which evolutions were rejected.

    Args:
        runtime: The run's resources.
        arms: Before and after.
        gate_id: Names the gate within the run.
        cycle: The run's cycle.
        reason: Why.
        conditions: What the gate weighed on; None where it saw nothing, so that the same change
            may be weighed another time.
    """
    step = f"{runtime.run_key}/{gate_id}/rollback"

    def restore() -> Snapshot:
        workspace = runtime.workspace
        kept = workspace.standing(arms.baseline.commit)
        undone = [n for n in workspace.standing(arms.candidate.commit) if n not in kept]
        told = conditions.told if conditions is not None else ""
        ref = workspace.rollback(arms.baseline.commit, reason=reason, step=step, weighed=told)
        rows = [
            EvolutionRow(
                run_key=runtime.run_key,
                evo_number=number,
                step=f"{gate_id}/rollback",
                cycle=cycle,
                agent_id=runtime.agent_id,
                commit_before=arms.candidate.commit,
                commit_after=ref.commit,
                tree_before=arms.candidate.tree,
                tree_after=ref.tree,
                accepted=False,
                note=reason,
                at=utc_now(),
            )
            for number in undone  # a commit made by hand has none: the gate's own row tells of it
        ]
        runtime.ledger.append(rows, run_key=runtime.run_key)
        return workspace.snapshot(ref.commit)

    return await asyncio.to_thread(restore)
