"""An attempt in the ledger as the evolver may see it."""

from grindstone.benchmark import Task
from grindstone.ledger.recall import Recalled
from grindstone.observe.observation import LabelledObservation, observe_labelled
from grindstone.settings import FeedbackLevel


def observe(seen: Recalled, task: Task, level: FeedbackLevel) -> LabelledObservation:
    """Return what a feedback level lets through of one attempt."""
    episode = seen.episode
    general = [use for use in seen.uses if use.scope == "general"]
    return observe_labelled(
        seen.trajectory,
        seen.verdict,
        level=level,
        failure_class=episode.failure_class,
        task_id=episode.task_id,
        category=episode.category,
        instruction=task.instruction,
        difficulty=episode.difficulty,
        title=episode.title,
        cycle=episode.cycle,
        skills_offered=[use.skill for use in general],
        skills_loaded=[use.skill for use in general if use.loaded],
        task_dir=task.path,
    )
