"""Corrections and ratings from a form."""

import asyncio
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation import GraduationService
from grindstone.graduation.rules.people import named_human
from grindstone.ledger import Ledger
from grindstone.ledger.recall import one_of
from grindstone.records import Episode
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import FeedbackSettings
from grindstone.settings.forms import FEEDBACK
from grindstone.tasks.events import tell_events
from grindstone.tasks.flow_runs import unless_typed
from grindstone.tasks.publish_autonomy import publish_trail
from grindstone.tasks.refusal import told_plainly


class FeedbackKept(Frozen):
    """What was kept of a person's word."""

    episode_id: str
    agent_id: str
    by: str
    corrected: str = ""  # the field
    stars: float | None = None


def _name() -> str:
    return f"feedback on {flow_run.parameters['settings'].episode[:12]}"


@flow(name="feedback", flow_run_name=unless_typed(_name), cache_result_in_memory=False)
@told_plainly
async def feedback(
    settings: Annotated[FeedbackSettings, FEEDBACK] = FeedbackSettings(),
) -> FeedbackKept:
    """Keep what a person says of one piece of an agent's work; it counts at once.

    Raises:
        InputError: Nothing is said, nobody is named, or no one episode is meant.
    """
    name = named_human(settings.name, "name")
    if not settings.field.strip() and settings.stars is None:
        raise InputError("field, stars", "are both empty", "what was wrong, or how good it was")
    rows = await asyncio.to_thread(Ledger(settings.work_dir.absolute()).rows, Episode)
    episode = one_of(rows, settings.episode.strip(), "episode")
    service = GraduationService(settings.work_dir.absolute())
    known = len(await asyncio.to_thread(service.registry.chain.events))
    told = []
    if settings.field.strip():
        await service.record_intervention(
            episode.episode_id,
            field=settings.field.strip(),
            original=settings.original,
            correction=settings.correction,
            reason=settings.reason,
            corrected_by=name,
        )
        told.append(f"{settings.field.strip()} corrected")
    if settings.stars is not None:
        await service.rate_episode(
            episode.episode_id, stars=settings.stars, rated_by=name, comment=settings.comment
        )
        told.append(f"{settings.stars:g} of five stars")
    current_watcher()(Note(f"{episode.agent_id}, {episode.title or episode.task_id}: {told}"))
    tell_events((await asyncio.to_thread(service.registry.chain.events))[known:])
    await publish_trail(await service.trail(episode.agent_id))
    return FeedbackKept(
        episode_id=episode.episode_id,
        agent_id=episode.agent_id,
        by=name,
        corrected=settings.field.strip(),
        stars=settings.stars,
    )
