"""What follows from an episode: the check of its agent, and word of it in Prefect."""

from grindstone.attempt.run import AttemptResult
from grindstone.boundary import step_boundary
from grindstone.errors import GrindstoneError
from grindstone.graduation.decisions.after_episode import IncrementalReview
from grindstone.home import Home
from grindstone.records import Episode
from grindstone.tasks.events import tell_episode, tell_events
from grindstone.tasks.runtime import AfterEpisode, Runtime


def episode_check(home: Home) -> AfterEpisode:
    """Return what a run calls after each scored attempt.

    It checks the agent against the constitution, notes what it earned or lost, and says so.
    Where there is no server, nobody hears the events. An attempt has its score by then: a
    check that cannot be made is told, and is the next review's to make.

    Args:
        home: The agents' home; what is known of them is kept from one attempt to the next.
    """
    review = IncrementalReview(home)

    async def check(runtime: Runtime, episode: Episode, attempted: AttemptResult | None) -> None:
        if not episode.purpose.in_record:
            return
        trajectory = attempted.trajectory if attempted is not None else None
        skills = _skills(attempted) if attempted is not None else ()
        try:
            with step_boundary(f"check of the attempt at {episode.task_id}"):
                tell_events(await review.after(episode, trajectory, skills))
        except GrindstoneError as error:
            runtime.note(f"not checked, left to the next review: {error}")
        tell_episode(episode)

    return check


def _skills(attempted: AttemptResult) -> tuple[str, ...]:
    return tuple(use.skill for use in attempted.uses if use.loaded or use.followed)
