"""What an attempt did, read from the ledger without ever opening what it was worth.

Of the ledger's tables only trajectories, their steps and skill uses are read here. No
episode, verdict or test result takes part, so what is built from a `Behaviour` holds no
label, whatever it is built for.
"""

from collections.abc import Sequence
from typing import NamedTuple

from grindstone.base import Frozen
from grindstone.benchmark import Task
from grindstone.ledger import Ledger
from grindstone.ledger.recall import by_episode, rows_of
from grindstone.ledger.tables.attempts import SkillUseRow, StepRow, TrajectoryRow, trajectory_of
from grindstone.observe.observation import JudgeVerdict, UnlabelledObservation, observe_unlabelled
from grindstone.records import Trajectory


class JudgedAttempt(Frozen):
    """An attempt by its ids, and what the judge said of it; None: nothing usable."""

    episode_id: str
    task_id: str
    verdict: JudgeVerdict | None = None
    error: str = ""  # why there is no verdict


class Behaviour(NamedTuple):
    """What one attempt did and which skills it had."""

    episode_id: str
    trajectory: Trajectory
    uses: tuple[SkillUseRow, ...]


def recall_behaviour(ledger: Ledger, run_key: str, episode_ids: Sequence[str]) -> list[Behaviour]:
    """Return attempts in the order of their ids; those that left no trajectory are left out."""
    ends = {row.episode_id: row for row in rows_of(ledger, TrajectoryRow, run_key, episode_ids)}
    steps = by_episode(ledger, StepRow, run_key, episode_ids)
    uses = by_episode(ledger, SkillUseRow, run_key, episode_ids)
    return [
        Behaviour(
            key,
            trajectory_of(ends[key], steps[key]),
            tuple(sorted(uses[key], key=lambda use: use.skill)),
        )
        for key in episode_ids
        if key in ends
    ]


def observe_behaviour(
    seen: Behaviour, task: Task, judgement: JudgeVerdict | None = None
) -> UnlabelledObservation:
    """Return an attempt as judge and evolver see it."""
    general = [use for use in seen.uses if use.scope == "general"]
    return observe_unlabelled(
        seen.trajectory,
        task_id=task.task_id,
        category=task.category,
        instruction=task.instruction,
        difficulty=task.difficulty,
        title=task.title,
        skills_offered=[use.skill for use in general],
        skills_loaded=[use.skill for use in general if use.loaded],
        judgement=judgement,
    )
