"""Learning without labels: attempt, judge, evolve under a budget, weigh, until it settles."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from grindstone.agents.agent_file import load_agent
from grindstone.benchmark import Task
from grindstone.blocks import BlockNames
from grindstone.digest import digest
from grindstone.evolve.behaviour import JudgedAttempt
from grindstone.flows.learning.batches import (
    count_cycles,
    end_batch,
    evolution_of,
    take_up,
    writing_of,
)
from grindstone.flows.learning.confirmation import PlaceInRun, confirmed, labelled, quarantined_by
from grindstone.flows.learning.planting import attempt_impossible
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.flows.weighing import shares_of, weighed
from grindstone.ledger.tables.runs import CycleNote
from grindstone.observe.calibration import Calibration
from grindstone.observe.judge import PASSING_SCORE
from grindstone.records import Episode, Purpose
from grindstone.report.judge_calibration import calibration_sentence, judge_calibration
from grindstone.runs.batches import snapshot_after
from grindstone.runs.progress import Advanced, LearningBegan
from grindstone.runs.stability import Stability
from grindstone.settings import AdaptiveSettings, SuccessMode
from grindstone.settings.forms import ADAPT
from grindstone.tasks.evolve import EvolveSpec, evolve
from grindstone.tasks.flow_runs import named
from grindstone.tasks.judge import JudgeSpec, judge_attempts, note_patterns
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly
from grindstone.tasks.write_skill import write_skill
from grindstone.text import count
from grindstone.workspace import Snapshot

AdaptRun = Run[AdaptiveSettings]


class Adapted(Finished):
    """An adaptive run's report; with the judge's calibration where it was asked for."""

    judge: Calibration | None = None


@flow(name="adapt", flow_run_name=named("adapt"), cache_result_in_memory=False)
@told_plainly
async def adapt(  # noqa: D417 - what the form says of settings would go
    settings: Annotated[AdaptiveSettings, ADAPT] = AdaptiveSettings(),
    blocks: BlockNames = BlockNames(),
    calibrate_judge: bool = False,
) -> Adapted:
    """Learn skills from what the agent does, without being told whether it succeeded.

    Args:
        calibrate_judge: Afterwards, say how the judge's scores agree with the verdicts.
    """
    if calibrate_judge:
        settings.require_judge("calibrate_judge")
    async with open_run("adapt", settings, blocks, seed="terminal") as run:
        options = run.settings
        stability = Stability(options.egl_threshold, options.egl_window)
        note = await within_budget(_cycles(run, stability))
        done = await run.finish(note=note, converged=stability.converged)
        found = None
        if calibrate_judge:
            found = await asyncio.to_thread(judge_calibration, run.ledger, run.key)
            run.note(calibration_sentence(found))
        return Adapted(report=done.report, folder=done.folder, judge=found)


async def _cycles(run: AdaptRun, stability: Stability) -> None:
    """Work through what is left of the run's cycles."""
    options = run.settings
    shares = shares_of(run)
    train = _mixed(shares.train, options.split_seed)
    done = await take_up(run, stability)
    snapshot = snapshot_after(done) or run.base
    for cycle in range(len(done) + 1, options.max_cycles + 1):
        if stability.converged:
            told = f"Settled: no new skill in {options.egl_window} cycles in a row"
            run.note(told)
            break
        ill = await quarantined_by(run)
        batch = [t for t in _batch(train, options.batch_size, cycle) if t.task_id not in ill]
        snapshot, note = await _one_cycle(run, cycle, batch, shares.held, snapshot)
        await count_cycles(run, stability, [note])
        await end_batch(run, cycle, batch, cycles=[note], after=snapshot)
        run.tell(Advanced(cycle, options.max_cycles))
    await attempt_impossible(run, options.impossible, snapshot)


async def _one_cycle(
    run: AdaptRun,
    cycle: int,
    tasks: Sequence[Task],
    held: Sequence[Task],
    snapshot: Snapshot,
) -> tuple[Snapshot, CycleNote]:
    """Attempt, look, evolve, weigh; return what the next cycle begins with, and the count.

    Without labels a task counts as solved when the judge says so; the verdicts are not read.
    """
    options = run.settings
    episodes = await _attempts(run, tasks, snapshot, cycle)
    if not run.learns:
        told = f"{options.native_profile} asks no model: nothing is learned from it"
        run.note(told)
        return snapshot, CycleNote(new_skills=0, solved=())
    open_ = [item for item in episodes if not (labelled(run) and item.passed)]
    lessons = await confirmed(run, open_, tasks, PlaceInRun(snapshot, cycle, cycle))
    episodes = [*(item for item in episodes if item not in open_), *lessons.episodes]
    by_id = {task.task_id: task for task in tasks}
    judged: list[JudgedAttempt] = []
    if options.trajectory_only:
        judged = await _judge(run, episodes, by_id, cycle)
        worth_it = bool(await note_patterns(run.runtime, judged, cycle=cycle))
        solved = [item for item in judged if item.verdict and item.verdict.score >= PASSING_SCORE]
        good = [(item.task_id, item.episode_id) for item in solved]
    else:
        worth_it = any(episode.passed is False for episode in episodes)
        good = [(item.task_id, item.episode_id) for item in episodes if item.passed]
    if options.solver_proposed and run.within(options.scope()).allows_skills:
        snapshot = await _proposals(run, snapshot, cycle, good, by_id)
    new_skills = 0
    if worth_it and run.within(options.scope()).allows_anything:
        evolved = await evolve(_evolution(run, snapshot, cycle, episodes, judged, by_id, held))
        gate_id = f"cycle-{cycle}"
        snapshot = await weighed(run, snapshot, evolved.after, held, gate_id=gate_id, cycle=cycle)
        new_skills = len(evolved.result.skills_added) if snapshot == evolved.after else 0
    elif worth_it:
        run.note(f"Cycle {cycle}: nothing may change, by the settings or the agent's manifest")
    else:
        nothing = "that tasks share" if options.trajectory_only else "failed"
        run.note(f"Cycle {cycle}: nothing {nothing}")
    return snapshot, CycleNote(new_skills=new_skills, solved=tuple(task_id for task_id, _ in good))


async def _attempts(
    run: AdaptRun, tasks: Sequence[Task], snapshot: Snapshot, cycle: int
) -> list[Episode]:
    """Attempt a batch; attempts that infrastructure spoiled are left to the report."""
    made = await run.attempt_all(
        [
            run.plan_attempt(task, snapshot, Purpose.ADAPT, cycle=cycle, batch=cycle)
            for task in tasks
        ]
    )
    return [episode for episode in made if episode.passed is not None]


async def _judge(
    run: AdaptRun, episodes: Sequence[Episode], tasks: dict[str, Task], cycle: int
) -> list[JudgedAttempt]:
    specs = [
        JudgeSpec(
            home=run.home.root,
            run_key=run.key,
            episode_id=episode.episode_id,
            task_id=episode.task_id,
            task_dir=tasks[episode.task_id].path,
            model_id=run.model(run.settings.judge_model_id),
            agent=load_agent(run.settings.judge_agent) if run.settings.judge_agent else None,
            region=run.settings.region,
            cycle=cycle,
        )
        for episode in episodes
    ]
    judged = await judge_attempts(specs, run.runtime.steering.slots)
    silent = sum(item.verdict is None for item in judged)
    if silent:
        told = f"Cycle {cycle}: the judge left {silent} of {len(judged)} attempts without a score"
        run.note(told)
    return judged


async def _proposals(
    run: AdaptRun,
    snapshot: Snapshot,
    cycle: int,
    good: Sequence[tuple[str, str]],
    tasks: dict[str, Task],
) -> Snapshot:
    """Let the solver's model draft a skill from each attempt that seems to have succeeded."""
    for task_id, episode_id in good:
        spec = writing_of(
            run,
            snapshot,
            "success",
            batch=cycle,
            cycle=cycle,
            tasks=[tasks[task_id]],
            task_id=task_id,
            episode_id=episode_id,
        )
        # The guard is made of the tests, and nothing of them is looked at without labels.
        guarded = spec.no_direct_answers and not run.settings.trajectory_only
        own = {"model_id": run.solver.model_id, "no_direct_answers": guarded}
        spec = spec.model_copy(update=own)
        snapshot = (await write_skill(spec)).after
    return snapshot


def _evolution(
    run: AdaptRun,
    snapshot: Snapshot,
    cycle: int,
    episodes: Sequence[Episode],
    judged: Sequence[JudgedAttempt],
    tasks: dict[str, Task],
    held: Sequence[Task],
) -> EvolveSpec:
    options = run.settings
    shown = [item.episode_id for item in episodes if options.trajectory_only or not item.passed]
    run.tell(LearningBegan(f"from {count(len(shown), 'attempt')}"))
    return evolution_of(
        run,
        snapshot,
        step=f"cycle-{cycle}",
        batch=cycle,
        cycle=cycle,
        episode_ids=shown,
        tasks=tasks.values(),
        held=held,
        # Drafts are shown to the evolver under this mode alone; adapt promotes none by itself.
        success_mode=SuccessMode.GATED_PROMOTION if options.solver_proposed else SuccessMode.OFF,
        judged=judged if options.trajectory_only else None,
    )


def _mixed(tasks: Sequence[Task], seed: int) -> list[Task]:
    """Return tasks in an order that depends on the seed alone, so that batches mix fields."""
    return sorted(tasks, key=lambda task: digest([seed, task.task_id]))


def _batch(tasks: Sequence[Task], size: int, cycle: int) -> list[Task]:
    """Return a cycle's tasks: the next ones, from the start again after the last."""
    if len(tasks) <= size:
        return list(tasks)
    first = (cycle - 1) * size
    return [tasks[(first + n) % len(tasks)] for n in range(size)]
