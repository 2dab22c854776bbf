"""The grind: solve, fail, learn, and try the same task again."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from prefect import flow

from grindstone.benchmark import Task
from grindstone.blocks import BlockNames
from grindstone.errors import InputError
from grindstone.flows.learning.batches import (
    count_cycles,
    end_batch,
    evolution_of,
    take_up,
    writing_of,
)
from grindstone.flows.learning.confirmation import Lessons, PlaceInRun, confirmed
from grindstone.flows.learning.planting import attempt_impossible
from grindstone.flows.paired import both_arms
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.flows.weighing import Shares, shares_of, weighed
from grindstone.ledger.tables.runs import CycleNote
from grindstone.records import Episode, Purpose
from grindstone.runs.batches import (
    finished_batches,
    snapshot_after,
    task_of,
    without_score,
)
from grindstone.runs.plan import Planned, pair_tasks
from grindstone.runs.progress import Advanced, LearningBegan
from grindstone.runs.stability import Stability
from grindstone.settings import GrindSettings, SuccessMode, TaskSkillMode
from grindstone.settings.forms import GRIND
from grindstone.skills import SkillLibrary
from grindstone.tasks.evolve import EvolveSpec, evolve
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly
from grindstone.tasks.write_skill import write_skill
from grindstone.workspace import Snapshot

GrindRun = Run[GrindSettings]
"""What every cycle of a run needs."""


@flow(name="grind", flow_run_name=named("grind"), cache_result_in_memory=False)
@told_plainly
async def grind(
    settings: Annotated[GrindSettings, GRIND] = GrindSettings(),
    blocks: BlockNames = BlockNames(),
) -> Finished:
    """Run an agent on tasks; turn failures into skills; try the failed tasks again."""
    return await grind_tasks(settings, blocks)


async def grind_tasks(settings: GrindSettings, blocks: BlockNames) -> Finished:
    """Do what the flow does, in the flow run that is there."""
    async with open_run("grind", settings, blocks) as run:
        note = await within_budget(_whole(run))
        return await run.finish(note=note)


async def _whole(run: GrindRun) -> None:
    snapshot = await _all_batches(run, run.planned)
    await attempt_impossible(run, run.settings.impossible, snapshot)
    if run.settings.compare:
        await _compare(run, run.planned, snapshot)


async def _all_batches(run: GrindRun, planned: Planned) -> Snapshot:
    """Work through what is left of the run.

    Its batches come first, then tasks that an earlier process of it left without a score:
    these last and not where they failed, since what was tried after them was tried with
    the workspace as it was without them.
    """
    size = run.settings.batch_size
    if not run.learns:
        told = f"{run.settings.native_profile} asks no model: nothing is learned from it"
        run.note(told)
    ratio = run.settings.holdout_ratio
    shares = shares_of(run) if ratio else Shares(planned.tasks, ())
    if ratio and not shares.held:
        have = "there is one task"
        if len(planned.tasks) > 1:
            have = f"the {len(planned.tasks)} tasks are copies of one, or one cluster"
        raise InputError("holdout_ratio", f"is {ratio}, and {have}", "0, or more tasks")
    stability = Stability(run.settings.egl_threshold, run.settings.egl_window)
    at_once = run.settings.max_workers
    if size < min(at_once, len(shares.train)):
        run.note(
            f"A batch has {size} of the tasks, so {size} at once are learned from, not {at_once}: "
            f"--batch-size {at_once} has all of --max-workers work, and learns less often"
        )
    done = await take_up(run, stability)
    snapshot = snapshot_after(done) or run.base
    again = [task_of(shares.train, task_id) for task_id in without_score(done)]
    todo = [*_batches(shares.train, size)[len(done) :], *_batches(again, size)]
    number, ended = len(done), 0
    total = sum(len(batch) for batch in todo)
    while todo:
        for batch in todo:
            number += 1
            snapshot = await _one_batch(run, number, batch, shares.held, snapshot, stability)
            ended += len(batch)
            run.tell(Advanced(ended, total))
        todo = []
        if run.runtime.steering.take_retry():
            made = await asyncio.to_thread(finished_batches, run.ledger, run.key)
            again = [task_of(shares.train, task_id) for task_id in without_score(made)]
            todo = _batches(again, size)
            total += len(again)
    return snapshot


async def _compare(run: GrindRun, planned: Planned, snapshot: Snapshot) -> None:
    """Try the run's tasks with what the workspace has become and without any skill."""
    pairs = await asyncio.to_thread(pair_tasks, run.settings, planned.tasks)
    await both_arms(run, pairs, snapshot, trials=run.settings.trials)


def _batches(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


async def _one_batch(
    run: GrindRun,
    number: int,
    tasks: Sequence[Task],
    held: Sequence[Task],
    snapshot: Snapshot,
    stability: Stability,
) -> Snapshot:
    """Cycle through a batch until every task passed or the cycles are used up.

    Every change of the library is weighed on the tasks held out, where some are.
    """
    settings, pending = run.settings, list(tasks)
    cycles: list[CycleNote] = []
    unscored: list[str] = []
    if run.learns and settings.task_skill_mode is TaskSkillMode.PRE_GENERATE_AND_RETRY:
        new = await _without_own_skill(run, snapshot, tasks)
        snapshot = await _task_skills(run, snapshot, number, 1, new, episodes=())
    for cycle in range(1, settings.max_cycles + 1):
        episodes = await _attempts(run, pending, snapshot, batch=number, cycle=cycle)
        passed = [item for item in episodes if item.passed]
        failed = [item for item in episodes if item.passed is False]
        unscored += [item.task_id for item in episodes if item.passed is None]
        place = PlaceInRun(snapshot, number, cycle)
        lessons = await _confirmed(run, failed, tasks, place)
        taught = [*passed, *lessons.episodes]
        snapshot, new_skills = await _learn(run, (number, cycle), tasks, held, taught, snapshot)
        solved = tuple(item.task_id for item in passed)
        cycles.append(CycleNote(new_skills=new_skills, solved=solved))
        await count_cycles(run, stability, cycles[-1:])
        ill = lessons.quarantined
        pending = [task_of(tasks, item.task_id) for item in failed if item.task_id not in ill]
        if not pending or cycle == settings.max_cycles:
            break
        if run.learns and settings.task_skill_mode is not TaskSkillMode.OFF:
            seen = lessons.episodes
            about = [task_of(tasks, item.task_id) for item in seen]
            snapshot = await _task_skills(run, snapshot, number, cycle, about, episodes=seen)
    await end_batch(run, number, tasks, unscored=unscored, cycles=cycles, after=snapshot)
    return snapshot


async def _confirmed(
    run: GrindRun, failed: Sequence[Episode], tasks: Sequence[Task], place: PlaceInRun
) -> Lessons:
    if not run.learns:
        return Lessons(list(failed), frozenset())
    return await confirmed(run, failed, tasks, place)


async def _learn(
    run: GrindRun,
    at: tuple[int, int],
    tasks: Sequence[Task],
    held: Sequence[Task],
    episodes: Sequence[Episode],
    snapshot: Snapshot,
) -> tuple[Snapshot, int]:
    """Change the library by what a cycle's attempts teach; return how many skills it gained.

    Each change is an evolution of its own: what first attempts got right, what the evolver
    makes of the failures, and what is shortened after that.

    Args:
        run: The run.
        at: Batch and cycle.
        tasks: The batch.
        held: What each change is weighed on; a change that is rejected there is undone.
        episodes: The cycle's attempts.
        snapshot: The workspace they had.
    """
    if not run.learns:
        return snapshot, 0
    settings, (batch, cycle) = run.settings, at
    scope = run.within(settings.scope())
    passed = [item for item in episodes if item.passed]
    failed = [item for item in episodes if item.passed is False]
    gained = 0

    async def keep(after: Snapshot, new_skills: int, what: str) -> None:
        nonlocal snapshot, gained
        gate_id = f"batch-{batch}-cycle-{cycle}-{what}"
        snapshot = await weighed(run, snapshot, after, held, gate_id=gate_id, cycle=cycle)
        gained += new_skills if snapshot == after else 0

    if cycle == 1 and scope.allows_skills and settings.success_mode is not SuccessMode.OFF:
        snapshot = await _drafts(run, snapshot, batch, passed, tasks)
        if passed and settings.success_mode is SuccessMode.GATED_PROMOTION:
            spec = writing_of(
                run, snapshot, "promote", batch=batch, cycle=cycle, tasks=tasks, held=held
            )
            threshold = {"promotion_threshold": settings.promotion_threshold}
            made = await write_skill(spec.model_copy(update=threshold))
            await keep(made.after, len(made.result.promoted), "promote")
    if failed and scope.allows_anything:
        evolved = await evolve(_evolution(run, snapshot, batch, cycle, failed, tasks, held))
        await keep(evolved.after, len(evolved.result.skills_added), "evolve")
        if settings.distill and scope.allows_skills:
            spec = writing_of(
                run, snapshot, "distill", batch=batch, cycle=cycle, tasks=tasks, held=held
            )
            shorter = await write_skill(spec)
            await keep(shorter.after, 0, "distill")
    return snapshot, gained


async def _without_own_skill(
    run: GrindRun, snapshot: Snapshot, tasks: Sequence[Task]
) -> Sequence[Task]:
    """Return the tasks an earlier run left no skill for: a failure taught that one more."""
    library = SkillLibrary(await run.runtime.snapshot(snapshot.commit))
    return [task for task in tasks if library.task_skill(task.task_id) is None]


async def _task_skills(
    run: GrindRun,
    snapshot: Snapshot,
    batch: int,
    cycle: int,
    tasks: Sequence[Task],
    *,
    episodes: Sequence[Episode],
) -> Snapshot:
    """Write each task's own skill: from its failed attempt, or from its text alone."""
    seen = {episode.task_id: episode.episode_id for episode in episodes}
    for task in tasks:
        run.tell(LearningBegan(f"about {task.task_id}"))
        spec = writing_of(
            run,
            snapshot,
            "task_skill",
            batch=batch,
            cycle=cycle,
            tasks=[task],
            task_id=task.task_id,
            episode_id=seen.get(task.task_id, ""),
        )
        snapshot = (await write_skill(spec)).after
    return snapshot


async def _drafts(
    run: GrindRun, snapshot: Snapshot, batch: int, passed: Sequence[Episode], tasks: Sequence[Task]
) -> Snapshot:
    """Draft skills from first-attempt passes."""
    for episode in passed:
        run.tell(LearningBegan(f"from {episode.task_id}"))
        spec = writing_of(
            run,
            snapshot,
            "success",
            batch=batch,
            cycle=1,
            tasks=[task_of(tasks, episode.task_id)],
            task_id=episode.task_id,
            episode_id=episode.episode_id,
        )
        snapshot = (await write_skill(spec)).after
    return snapshot


async def _attempts(
    run: GrindRun, tasks: Sequence[Task], snapshot: Snapshot, *, batch: int, cycle: int
) -> list[Episode]:
    """Attempt tasks at once."""
    return await run.attempt_all(
        [
            run.plan_attempt(task, snapshot, Purpose.GRIND, cycle=cycle, batch=batch)
            for task in tasks
        ]
    )


def _evolution(
    run: GrindRun,
    snapshot: Snapshot,
    batch: int,
    cycle: int,
    failed: Sequence[Episode],
    tasks: Sequence[Task],
    held: Sequence[Task],
) -> EvolveSpec:
    run.tell(LearningBegan(f"from {len(failed)} failed"))
    return evolution_of(
        run,
        snapshot,
        step=f"batch-{batch}/cycle-{cycle}",
        batch=batch,
        cycle=cycle,
        episode_ids=[item.episode_id for item in failed],
        tasks=tasks,
        held=held,
        success_mode=run.settings.success_mode,
    )
