"""The grind: solve, fail, learn, and try the same task again."""

import asyncio
from collections.abc import Sequence

from prefect import flow

from grindstone.attempt.plan import Planned, pair_tasks
from grindstone.benchmark import Task
from grindstone.blocks import BlockNames
from grindstone.errors import InputError
from grindstone.flows.compare import both_arms
from grindstone.flows.gate import Shares, shares_of, weighed
from grindstone.flows.opening import Opened, open_run, within_budget
from grindstone.flows.planting import attempt_impossible
from grindstone.ledger.tables.runs import CycleNote
from grindstone.records import Episode, Purpose
from grindstone.settings import GrindSettings, SuccessMode, TaskSkillMode
from grindstone.skills import SkillLibrary
from grindstone.tasks.batches import (
    finish_batch,
    finished_batches,
    snapshot_after,
    task_of,
    without_score,
)
from grindstone.tasks.evolving import EvolveSpec, evolve
from grindstone.tasks.finishing import Finished, finish_run
from grindstone.tasks.progress import Advanced, LearningBegan, Note
from grindstone.tasks.skill_steps import WriteKind, WriteSpec, write_skill
from grindstone.tasks.stability import Stability
from grindstone.workspace import Snapshot

Crew = Opened[GrindSettings]
"""What every cycle of a run needs."""


@flow(name="grind", flow_run_name="grind {settings.agent_id}", cache_result_in_memory=False)
async def grind(
    settings: GrindSettings = GrindSettings(),
    blocks: BlockNames = BlockNames(),
) -> Finished:
    """Run an agent on tasks; turn failures into skills; try the failed tasks again."""
    async with open_run("grind", settings, blocks) as crew:
        note = await within_budget(_whole(crew))
        return await finish_run(crew.runtime, crew.planned, note=note)


async def _whole(crew: Crew) -> None:
    snapshot = await _all_batches(crew, crew.planned)
    await attempt_impossible(crew, crew.settings.impossible, snapshot)
    if crew.settings.compare:
        await _compare(crew, crew.planned, snapshot)


async def _all_batches(crew: Crew, planned: Planned) -> Snapshot:
    """Work through what is left of the run.

    Its batches come first, then tasks that an earlier process of it left without a score:
    these last and not where they failed, since what was tried after them was tried with
    the workspace as it was without them.
    """
    runtime, size = crew.runtime, crew.settings.batch_size
    if not crew.learns:
        told = f"{crew.settings.native_profile} asks no model: nothing is learned from it"
        runtime.tell(Note(told))
    ratio = crew.settings.holdout_ratio
    shares = shares_of(crew) if ratio else Shares(planned.tasks, ())
    if ratio and not shares.held:
        raise InputError("holdout_ratio", f"is {ratio}, and there is one task", "0, or more tasks")
    stability = Stability(crew.settings.egl_threshold, crew.settings.egl_window)
    done = await finished_batches(runtime)
    snapshot = snapshot_after(done) or planned.plan.base
    for row in done:
        await stability.note(runtime, row.cycles)
    again = [task_of(shares.train, task_id) for task_id in without_score(done)]
    todo = [*_batches(shares.train, size)[len(done) :], *_batches(again, size)]
    total = sum(len(batch) for batch in todo)
    ended = 0
    for number, batch in enumerate(todo, start=len(done) + 1):
        snapshot = await _one_batch(crew, number, batch, shares.held, snapshot, stability)
        ended += len(batch)
        runtime.tell(Advanced(ended, total))
    return snapshot


async def _compare(crew: Crew, planned: Planned, snapshot: Snapshot) -> None:
    """Try the run's tasks with what the workspace has become and without any skill."""
    pairs = await asyncio.to_thread(pair_tasks, crew.settings, planned.tasks)
    await both_arms(crew, pairs, snapshot, trials=crew.settings.trials)


def _batches(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


async def _one_batch(
    crew: Crew,
    number: int,
    tasks: Sequence[Task],
    held: Sequence[Task],
    snapshot: Snapshot,
    stability: Stability,
) -> Snapshot:
    """Cycle through a batch until every task passed or the cycles are used up.

    Every change of the library is weighed on the tasks held out, where some are.
    """
    settings, pending = crew.settings, list(tasks)
    cycles: list[CycleNote] = []
    unscored: list[str] = []
    if crew.learns and settings.task_skill_mode is TaskSkillMode.PRE_GENERATE_AND_RETRY:
        new = await _without_own_skill(crew, snapshot, tasks)
        snapshot = await _task_skills(crew, snapshot, number, 1, new, episodes=())
    for cycle in range(1, settings.max_cycles + 1):
        episodes = await _attempts(crew, pending, snapshot, batch=number, cycle=cycle)
        passed = [item for item in episodes if item.passed]
        failed = [item for item in episodes if item.passed is False]
        unscored += [item.task_id for item in episodes if item.passed is None]
        snapshot, new_skills = await _learn(crew, (number, cycle), tasks, held, episodes, snapshot)
        solved = tuple(item.task_id for item in passed)
        cycles.append(CycleNote(new_skills=new_skills, solved=solved))
        await stability.note(crew.runtime, cycles[-1:])
        pending = [task_of(tasks, item.task_id) for item in failed]
        if not pending or cycle == settings.max_cycles:
            break
        if crew.learns and settings.task_skill_mode is not TaskSkillMode.OFF:
            snapshot = await _task_skills(crew, snapshot, number, cycle, pending, episodes=failed)
    await finish_batch(
        crew.runtime,
        number,
        [task.task_id for task in tasks],
        unscored=unscored,
        cycles=cycles,
        after=snapshot,
    )
    return snapshot


async def _learn(
    crew: Crew,
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
        crew: The run.
        at: Batch and cycle.
        tasks: The batch.
        held: What each change is weighed on; a change that is rejected there is undone.
        episodes: The cycle's attempts.
        snapshot: The workspace they had.
    """
    if not crew.learns:
        return snapshot, 0
    settings, (batch, cycle) = crew.settings, at
    scope = crew.within(settings.scope())
    passed = [item for item in episodes if item.passed]
    failed = [item for item in episodes if item.passed is False]
    gained = 0

    async def keep(after: Snapshot, new_skills: int, what: str) -> None:
        nonlocal snapshot, gained
        gate_id = f"batch-{batch}-cycle-{cycle}-{what}"
        snapshot = await weighed(crew, snapshot, after, held, gate_id=gate_id, cycle=cycle)
        gained += new_skills if snapshot == after else 0

    if cycle == 1 and scope.allows_skills and settings.success_mode is not SuccessMode.OFF:
        snapshot = await _drafts(crew, snapshot, batch, passed, tasks)
        if passed and settings.success_mode is SuccessMode.GATED_PROMOTION:
            made = await write_skill(_writing(crew, snapshot, batch, cycle, "promote", tasks))
            await keep(made.after, len(made.result.promoted), "promote")
    if failed and scope.allows_anything:
        evolved = await evolve(_evolution(crew, snapshot, batch, cycle, failed, tasks))
        await keep(evolved.after, len(evolved.result.skills_added), "evolve")
        if settings.distill and scope.allows_skills:
            shorter = await write_skill(_writing(crew, snapshot, batch, cycle, "distill", tasks))
            await keep(shorter.after, 0, "distill")
    return snapshot, gained


async def _without_own_skill(
    crew: Crew, snapshot: Snapshot, tasks: Sequence[Task]
) -> Sequence[Task]:
    """Return the tasks an earlier run left no skill for: a failure taught that one more."""
    library = SkillLibrary(await crew.runtime.snapshot(snapshot.commit))
    return [task for task in tasks if library.task_skill(task.task_id) is None]


async def _task_skills(
    crew: Crew,
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
        spec = _writing(crew, snapshot, batch, cycle, "task_skill", [task])
        about = {"task_id": task.task_id, "episode_id": seen.get(task.task_id, "")}
        snapshot = (await write_skill(spec.model_copy(update=about))).after
    return snapshot


async def _drafts(
    crew: Crew, snapshot: Snapshot, batch: int, passed: Sequence[Episode], tasks: Sequence[Task]
) -> Snapshot:
    """Draft skills from first-attempt passes."""
    for episode in passed:
        spec = _writing(crew, snapshot, batch, 1, "success", [task_of(tasks, episode.task_id)])
        about = {"task_id": episode.task_id, "episode_id": episode.episode_id}
        snapshot = (await write_skill(spec.model_copy(update=about))).after
    return snapshot


async def _attempts(
    crew: Crew, tasks: Sequence[Task], snapshot: Snapshot, *, batch: int, cycle: int
) -> list[Episode]:
    """Attempt tasks at once."""
    return await crew.attempt_all(
        [crew.wanted(task, snapshot, Purpose.GRIND, cycle=cycle, batch=batch) for task in tasks]
    )


def _evolution(
    crew: Crew,
    snapshot: Snapshot,
    batch: int,
    cycle: int,
    failed: Sequence[Episode],
    tasks: Sequence[Task],
) -> EvolveSpec:
    crew.runtime.tell(LearningBegan(f"from {len(failed)} failed"))
    return EvolveSpec(
        home=crew.runtime.home.root,
        run_key=crew.runtime.run_key,
        step=f"batch-{batch}/cycle-{cycle}",
        base=snapshot,
        scope=crew.settings.scope(),
        model_id=crew.model(crew.settings.evolver_model_id),
        region=crew.settings.region,
        feedback_level=crew.settings.feedback_level,
        episode_ids=tuple(item.episode_id for item in failed),
        task_dirs={task.task_id: task.path for task in tasks},
        batch=batch,
        cycle=cycle,
        success_mode=crew.settings.success_mode,
    )


def _writing(
    crew: Crew, snapshot: Snapshot, batch: int, cycle: int, kind: WriteKind, tasks: Sequence[Task]
) -> WriteSpec:
    settings = crew.settings
    return WriteSpec(
        home=crew.runtime.home.root,
        run_key=crew.runtime.run_key,
        kind=kind,
        base=snapshot,
        model_id=crew.model(crew.settings.evolver_model_id),
        region=settings.region,
        feedback_level=settings.feedback_level,
        no_direct_answers=settings.no_direct_answers,
        promotion_threshold=settings.promotion_threshold,
        task_dirs={task.task_id: task.path for task in tasks},
        batch=batch,
        cycle=cycle,
    )
