"""The check of an agent after each of its attempts, and word of the episode."""

from grindstone.attempt.run import AttemptResult
from grindstone.boundary import step_boundary
from grindstone.errors import GrindstoneError
from grindstone.records import Episode
from grindstone.runs.progress import Note
from grindstone.tasks.events import tell_episode, tell_events
from grindstone.tasks.runtime import Runtime


async def check_attempt(
    runtime: Runtime, episode: Episode, attempted: AttemptResult | None = None
) -> None:
    """Check an attempt against the constitution, note what it earned or lost, and say so.

    Called after each attempt, and again without harm. Where there is no server, nobody hears
    the events. An attempt has its score by then: a check that cannot be made is told, and is
    the next review's to make.

    Args:
        runtime: The run's resources.
        episode: What is in the ledger.
        attempted: What was made; None: it is read from the ledger.
    """
    if not episode.purpose.in_record or episode.passed is None:
        return
    trajectory = attempted.trajectory if attempted is not None else None
    skills = _skills(attempted) if attempted is not None else ()
    try:
        with step_boundary(f"check of the attempt at {episode.task_id}"):
            tell_events(await runtime.follower.after(episode, trajectory, skills))
    except GrindstoneError as error:
        runtime.tell(Note(f"not checked, left to the next review: {error}"))
    tell_episode(episode)


def _skills(attempted: AttemptResult) -> tuple[str, ...]:
    return tuple(use.skill for use in attempted.uses if use.loaded or use.followed)
