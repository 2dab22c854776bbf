"""What a record of live work may not claim: a day to come, an agent's word, another level."""

from collections.abc import Collection
from datetime import datetime, timedelta

from grindstone.errors import InputError
from grindstone.graduation.intake.recording import Rating, Work, live_run, rows_for
from grindstone.graduation.intake.same_work import refuse_same_work
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.people import named_human, refuse_agents
from grindstone.ledger.recall import rows_of
from grindstone.records import Episode, Purpose, utc_now

AHEAD = timedelta(days=1)
"""How far a clock, or a time without a zone, may run ahead of ours."""


def refuse_claims(work: Work, agents: Collection[str], now: datetime) -> None:
    """Refuse work that begins on a day to come, or whose outcome an agent vouches for.

    Such work would be the latest for ever, and hide what happens until then.

    Args:
        work: As somebody tells it.
        agents: The agents of the home.
        now: The present time; where it is set back, the clock's own counts.

    Raises:
        InputError: It is such work; names the field.
    """
    refuse_to_come("started_at", work.started_at, now, "when it began")
    refuse_to_come("ended_at", work.ended_at, now, "when it ended")
    for deed in work.actions:
        refuse_to_come("actions: at", deed.at, now, "when it was done")
    for edit in work.human_edits:
        refuse_to_come("human_edits: timestamp", edit.timestamp, now, "when it was corrected")
    every = {work.agent_id, *agents}
    for rating in work.ratings:
        refuse_raters(rating, every)
    for field in ("verified_by", "capability"):
        if not isinstance(work.metadata.get(field), str | None):
            said = f"is {work.metadata[field]!r}"
            raise InputError(f"metadata: {field}", said, "a name, or no such field")
    for name in (work.verified_by, str(work.metadata.get("verified_by") or "")):
        if name:
            refuse_agents(named_human(name, "verified_by"), every, "verified_by")


def refuse_to_come(where: str, moment: datetime | None, now: datetime, expected: str) -> None:
    """Refuse a moment that is still to come; where the present time is set back, ours counts.

    Raises:
        InputError: It is; names the field.
    """
    if moment is not None and moment > max(now, utc_now()) + AHEAD:
        raise InputError(where, f"is {moment}, in the future", expected)


def vouched_for(work: Work) -> bool:
    """Whether somebody stands for what a piece of work came to."""
    return bool(work.ratings or work.verified_by or work.metadata.get("verified_by"))


def refuse_raters(rating: Rating, agents: Collection[str]) -> None:
    """Refuse a rating that is no person's.

    Raises:
        InputError: It is an agent's, or no name.
    """
    refuse_agents(named_human(rating.rated_by, "rated_by"), agents, "rated_by")


def refuse_other_telling(registry: Registry, work: Work) -> None:
    """Refuse work of a level that was not held, told before, or under an id of other work.

    Raises:
        InputError: It is such work; names the field.
    """
    held = registry.agent_for(work.agent_id, work.subject, work.started_at).level.value
    if work.maturity not in ("", held):
        at = f"{work.started_at:%Y-%m-%d %H:%M}"
        raise InputError(
            "maturity", f"is {work.maturity}; {work.agent_id} was {held} at {at}", held
        )
    run_key = live_run(work.agent_id, work.started_at)
    once = rows_for(registry, work, run_key=run_key, purpose=Purpose.ROUTE, now=work.started_at)
    known = rows_of(registry.ledger, Episode, None, [work.episode_id]) if work.episode_id else []
    for episode in known:
        told = once.episode.model_copy(update={"purpose": Purpose(episode.purpose)})
        if told.model_dump(exclude={"maturity"}) != episode.model_dump(exclude={"maturity"}):
            raise InputError(
                f"episode {work.episode_id}",
                f"is kept already, as other work, in run {episode.run_key}",
                "an id of its own, or a correction of that one",
            )
    if not known:
        refuse_same_work(registry, once)
