"""Impossible tasks among a run's own: what pays there says what the run's scores are worth."""

import asyncio

from grindstone import text
from grindstone.benchmark.planting import plant
from grindstone.flows.run import Run
from grindstone.records import Purpose
from grindstone.settings import RunSettings
from grindstone.workspace import Snapshot


async def attempt_impossible(run: Run[RunSettings], count: int, snapshot: Snapshot) -> None:
    """Make some attempts at impossible tasks, which the report tells apart.

    Nothing is learned from them. Each is an attempt as any other, at a task that has the name,
    the instruction and the environment of one of the run's, so that the agent cannot tell.

    Args:
        run: The run.
        count: How many.
        snapshot: The workspace the agent has.

    Raises:
        InputError: None of the run's tasks can be made impossible.
    """
    if not count:
        return
    into = run.settings.home.impossible
    tasks = await asyncio.to_thread(plant, run.planned.tasks, count, into)
    attempts = text.count(count, "attempt")
    run.note(f"{attempts} at tasks that nobody can solve")
    distinct = len({task.task_id for task in tasks})
    await run.attempt_all(
        [
            run.plan_attempt(task, snapshot, Purpose.IMPOSSIBLE, trial=number // distinct)
            for number, task in enumerate(tasks)
        ]
    )
