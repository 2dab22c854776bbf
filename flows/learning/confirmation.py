"""Before a failure teaches: was it the agent, or the weather?

A failure with signs of its surroundings (`observe.weather`) is tried again in a fresh sandbox. What
passes then has taught nothing; what fails without the signs teaches by that attempt. Where the
signs stay, the task itself is asked: its own solution must pass and doing nothing must not. A task
that fails this twice is put in quarantine, and told.
"""

import asyncio
from collections.abc import Mapping, Sequence
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
    signs = await asyncio.gather(*(_signs(run, item) for item in made))
    lessons = {item.episode_id: item for item in made}
    doubted = [_Doubted(*each) for each in zip(made, signs, strict=True) if each[1]]
    for number in range(1, run.settings.confirm_failures + 1):
        doubted = await _tried_again(run, doubted, by_id, place, number, lessons)
    faults = await _faults(run, [by_id[each.failed.task_id] for each in doubted], place)
    bad = [each for each in doubted if each.failed.task_id in faults]
    for each in bad:
        task = by_id[each.failed.task_id]
        await _put_aside(run, task, each.signs, faults[task.task_id])
        del lessons[each.failed.episode_id]
    return Lessons([*lessons.values()], frozenset(each.failed.task_id for each in bad))


async def quarantined_by(run: Run[Learning]) -> frozenset[str]:
    """Return the ids of the tasks that this run has put in quarantine."""
    rows = await asyncio.to_thread(run.ledger.rows, QuarantineRow, run.key)
    return frozenset(row.task_id for row in rows)


def labelled(run: Run[Learning]) -> bool:
    """Whether a run may look at verdicts while it learns."""
    return not getattr(run.settings, "trajectory_only", False)


class _Doubted(NamedTuple):
    """A failure that may be its surroundings'."""

    failed: Episode
    signs: tuple[str, ...]


async def _tried_again(
    run: Run[Learning],
    doubted: Sequence[_Doubted],
    by_id: Mapping[str, Task],
    place: PlaceInRun,
    number: int,
    lessons: dict[str, Episode],
) -> list[_Doubted]:
    """Try once more what is in doubt, all of it together; return what is so still.

    Args:
        run: The run.
        doubted: The failures.
        by_id: The tasks.
        place: Where they were made.
        number: Of the try, from 1.
        lessons: What teaches in the place of each failure, by its id; changed.
    """
    if not doubted:
        return []
    for each in doubted:
        why = f"perhaps for its surroundings ({each.signs[0]}): tried again"
        run.note(f"{each.failed.task_id} failed, {why}")
    tries = [_again(run, by_id[each.failed.task_id], place, number) for each in doubted]
    left = []
    for each, again in zip(doubted, await run.attempt_all(tries), strict=True):
        if again.passed is None:
            left.append(each)
        elif labelled(run) and again.passed:
            run.note(f"{each.failed.task_id} passed when tried again: nothing is learned")
            del lessons[each.failed.episode_id]
        elif await _signs(run, again):
            left.append(each)
        else:
            lessons[each.failed.episode_id] = again
    return left


async def _put_aside(run: Run[Learning], task: Task, signs: tuple[str, ...], reason: str) -> None:
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


async def _faults(run: Run[Learning], tasks: Sequence[Task], place: PlaceInRun) -> dict[str, str]:
    """Return what is wrong with tasks, by their ids; those that are sound are left out.

    Told by a task's own solution and by doing nothing: no agent takes part, and no model is asked.
    """
    found: dict[str, str] = {}
    for profile, problem in (
        (Profile.ORACLE, "its own solution failed"),
        (Profile.NOP, "doing nothing passed"),
    ):
        suspects = [task for task in tasks if task.task_id not in found]
        if profile is Profile.ORACLE:
            suspects = [task for task in suspects if task.has_solution]
        solver = run.solver.model_copy(update={"profile": profile})
        for trial in range(CHECKS):
            if not suspects:
                break
            checks = [
                run.plan_attempt(
                    task,
                    place.snapshot,
                    Purpose.CHECK,
                    trial=trial,
                    cycle=place.cycle,
                    batch=place.batch,
                    solver=solver,
                )
                for task in suspects
            ]
            suspects = [
                task
                for task, made in zip(suspects, await run.attempt_all(checks), strict=True)
                if made.passed is not None and made.passed != (profile is Profile.ORACLE)
            ]
        found |= {task.task_id: f"{problem} {CHECKS} times of {CHECKS}" for task in suspects}
    return found
