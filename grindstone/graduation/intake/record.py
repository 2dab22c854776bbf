"""Live work and people's word of it, brought into the ledger."""

from pydantic import ValidationError

from grindstone.errors import InputError
from grindstone.graduation.intake.plausible import (
    refuse_claims,
    refuse_raters,
    refuse_to_come,
    vouched_for,
)
from grindstone.graduation.intake.recording import (
    Edit,
    Rating,
    Work,
    edit_row,
    keep,
    live_run,
    rating_row,
    rows_for,
)
from grindstone.graduation.registry import Registry
from grindstone.records import Episode, Purpose


def as_work(fields: dict[str, object]) -> Work:
    """Return a piece of live work as somebody stated it.

    Raises:
        InputError: A field is missing or wrong.
    """
    try:
        return Work.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"episode: {where}".removesuffix(": "),
            first["msg"].removeprefix("Value error, "),
            "a field of Work",
        ) from error


def record(registry: Registry, work: Work, *, purpose: Purpose) -> Episode:
    """Keep one piece of live work as an episode.

    Raises:
        InputError: It claims what no record may, see `refuse_claims`.
    """
    refuse_claims(work, registry.agent_names() if vouched_for(work) else (), registry.clock())
    run_key = live_run(work.agent_id, work.started_at)
    recorded = rows_for(registry, work, run_key=run_key, purpose=purpose, now=registry.clock())
    keep(registry, [recorded], run_key=run_key)
    return recorded.episode


def correct(registry: Registry, episode_id: str, edit: Edit) -> Episode:
    """Keep one correction of an episode; return the episode.

    Raises:
        InputError: There is no such episode, or it says not what was wrong, or a day to come.
    """
    episode = registry.episode(episode_id)
    if not edit.field.strip():
        raise InputError("field", "is empty", "what was wrong")
    refuse_to_come("timestamp", edit.timestamp, registry.clock(), "when it was corrected")
    row = edit_row(episode, edit, now=registry.clock())
    registry.ledger.append([row], run_key=episode.run_key)
    return episode


def rate(registry: Registry, episode_id: str, rating: Rating) -> Episode:
    """Keep a person's rating of an episode; return the episode.

    Raises:
        InputError: There is no such episode, or the rating is no person's.
    """
    episode = registry.episode(episode_id)
    refuse_raters(rating, {episode.agent_id, *registry.agent_names()})
    row = rating_row(episode, rating, now=registry.clock())
    registry.ledger.append([row], run_key=episode.run_key)
    return episode
