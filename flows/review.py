"""The review: every agent's readiness, what is due, and what the policies let the system do."""

import asyncio
from typing import Annotated

from prefect import flow

from grindstone.blocks import BlockNames, configure
from grindstone.flows.run import checked
from grindstone.graduation.decisions.review import Review
from grindstone.graduation.words import decision_line, review_line
from grindstone.runs.progress import Note
from grindstone.settings import GraduationSettings
from grindstone.settings.forms import REVIEW
from grindstone.tasks.flow_runs import named, run_key_of, run_watcher
from grindstone.tasks.graduation import notify, open_service, seal_changes
from grindstone.tasks.publish_autonomy import publish_review, publish_trail
from grindstone.tasks.refusal import told_plainly


@flow(name="review", flow_run_name=named("review", ""), cache_result_in_memory=False)
@told_plainly
async def review(
    settings: Annotated[GraduationSettings, REVIEW] = GraduationSettings(),
    blocks: BlockNames = BlockNames(),
) -> Review:
    """Check what is unchecked, look at every agent, propose or do what its policy says."""
    settings = await configure(settings, blocks)
    await checked("review", settings, blocks)
    key = run_key_of("review", settings.run_key)
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        known = len(await asyncio.to_thread(service.registry.chain.events))
        found = await service.review(settings.agents)
        changed = await seal_changes(service, known, settings)
        run_watcher()(Note(review_line(found)))
        await publish_review(found)
        concerned = {event.agent_id for event in changed if event.agent_id}
        for agent_id in sorted(concerned):
            await publish_trail(await service.trail(agent_id))
    told = (
        found.decisions
        if settings.weekly
        else [
            item for item in found.decisions if item.agent_id in concerned and item.action != "none"
        ]
    )
    if told:
        lines = "\n".join(decision_line(item) for item in told)
        await notify(settings, f"Grindstone: {review_line(found)}", lines)
    return found


@flow(name="check-episode", flow_run_name=named("check"), cache_result_in_memory=False)
@told_plainly
async def check_episode(  # noqa: D417 - what the form says of settings would go
    agent_id: str,
    episode_id: str = "",
    settings: Annotated[GraduationSettings, REVIEW] = GraduationSettings(),
) -> Review:
    """Review one agent after an episode: what an automation starts on its event.

    Args:
        agent_id: Whose episode it was.
        episode_id: The episode, named in the run's log alone: the review finds it unchecked.
    """
    run_watcher()(Note(f"{agent_id}: after episode {episode_id}"))
    return await review(settings.model_copy(update={"agents": [agent_id]}))
