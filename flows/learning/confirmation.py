"""Before a failure teaches: was it the agent, or the weather?

A failure with signs of its surroundings (`observe.weather`) is tried again in a fresh sandbox. What
passes then has taught nothing; what fails without the signs teaches by that attempt. Where the
signs stay, the task itself is asked: its own solution must pass and doing nothing must not. A task
that fails this twice is put in quarantine, and told.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from grindstone.benchmark import Task
from grindstone.evolve.behaviour import recall_behaviour
from grindstone.flows.attempt import PlannedAttempt
from grindstone.flows.learning.batches import Learning
from grindstone.flows.run import Run
from grindstone.ledger.recall import recall
from grindstone.ledger.tables.runs import QuarantineRow
from grindstone.observe.weather import weather_of
from grindstone.records import Episode, Purpose, utc_now
from grindstone.settings import Profile
from grindstone.workspace import Snapshot

CHECKS = 2
"""So often a task's own solution must fail, or doing nothing pass, before the task is at fault."""


class PlaceInRun(NamedTuple):
    """Where in a run attempts are made."""

    snapshot: Snapshot
    batch: int
    cycle: int


class Lessons(NamedTuple):
    """What may teach."""

    episodes: list[Episode]
    quarantined: frozenset[str]  # ids of tasks that are at fault themselves


async def confirmed(
    run: Run[Learning], made: Sequence[Episode], tasks: Sequence[Task], place: PlaceInRun
) -> Lessons:
    """Return the attempts that may teach, each task once.

    Without labels, every attempt may be a failure, and none is said to have passed: one with signs
    is replaced by one without, if trying again brings one.

    Args:
        run: The run.
        made: Attempts that have a score; where there are labels, those that failed.
        tasks: The tasks they are at.
        place: Where they were made.
    """
    if not run.settings.confirm_failures:
        return Lessons(list(made), frozenset())
    by_id = {task.task_id: task for task in tasks}
    found = await asyncio.gather(*(_one(run, item, by_id[item.task_id], place) for item in made))
    bad = frozenset(
        item.task_id for item, lesson in zip(made, found, strict=True) if lesson == "quarantine"
    )
    return Lessons([lesson for lesson in found if isinstance(lesson, Episode)], bad)


async def quarantined_by(run: Run[Learning]) -> frozenset[str]:
    """Return the ids of the tasks that this run has put in quarantine."""
    rows = await asyncio.to_thread(run.ledger.rows, QuarantineRow, run.key)
    return frozenset(row.task_id for row in rows)


def labelled(run: Run[Learning]) -> bool:
    """Whether a run may look at verdicts while it learns."""
    return not getattr(run.settings, "trajectory_only", False)


async def _one(
    run: Run[Learning], failed: Episode, task: Task, place: PlaceInRun
) -> Episode | str | None:
    """Return the attempt that teaches in a failure's place; None, or quarantine, where none."""
    signs = await _signs(run, failed)
    if not signs:
        return failed
    for number in range(1, run.settings.confirm_failures + 1):
        told = f"{failed.task_id} failed, perhaps for its surroundings ({signs[0]}): tried again"
        run.note(told)
        [again] = await run.attempt_all([_again(run, task, place, number)])
        if again.passed is None:
            continue
        if labelled(run) and again.passed:
            run.note(f"{failed.task_id} passed when tried again: nothing is learned")
            return None
        if not await _signs(run, again):
            return again
    reason = await _fault(run, task, place)
    if not reason:
        return failed
    row = QuarantineRow(
        run_key=run.key,
        task_id=task.task_id,
        task_digest=task.digest,
        signs=signs,
        reason=reason,
        at=utc_now(),
    )
    await asyncio.to_thread(run.ledger.append, [row], run_key=run.key)
    run.note(f"{task.task_id} is in quarantine: {reason}")
    return "quarantine"


async def _signs(run: Run[Learning], item: Episode) -> tuple[str, ...]:
    ledger, key = run.ledger, run.key

    def read() -> tuple[str, ...]:
        if labelled(run):
            known = recall(ledger, key, [item.episode_id])
            found = [weather_of(seen.trajectory, seen.verdict) for seen in known]
        else:
            behaviour = recall_behaviour(ledger, key, [item.episode_id])
            found = [weather_of(seen.trajectory) for seen in behaviour]
        return found[0] if found else ()

    return await asyncio.to_thread(read)


def _again(run: Run[Learning], task: Task, place: PlaceInRun, number: int) -> PlannedAttempt:
    return run.plan_attempt(
        task,
        place.snapshot,
        Purpose.CONFIRM,
        trial=number,
        cycle=place.cycle,
        batch=place.batch,
    )


async def _fault(run: Run[Learning], task: Task, place: PlaceInRun) -> str:
    """Return what is wrong with a task, by its own solution and by doing nothing; empty: nothing.

    This is about the task: no agent takes part, and no model is asked.
    """
    kinds = [(Profile.NOP, "doing nothing passed")]
    if task.has_solution:
        kinds.insert(0, (Profile.ORACLE, "its own solution failed"))
    for profile, problem in kinds:
        wrong = 0
        for trial in range(CHECKS):
            solver = run.solver.model_copy(update={"profile": profile})
            [checked] = await run.attempt_all(
                [
                    run.plan_attempt(
                        task,
                        place.snapshot,
                        Purpose.CHECK,
                        trial=trial,
                        cycle=place.cycle,
                        batch=place.batch,
                        solver=solver,
                    )
                ]
            )
            if checked.passed is None or checked.passed == (profile is Profile.ORACLE):
                break
            wrong += 1
        if wrong == CHECKS:
            return f"{problem} {CHECKS} times of {CHECKS}"
    return ""
