"""A routing decision in the Prefect UI."""

import asyncio

from grindstone.competency.routing import RoutingDecision
from grindstone.competency.routing_page import decision_markdown, decision_sentence
from grindstone.tasks.artifacts import artifact_key, publish_markdown


async def publish_decision(
    decision: RoutingDecision, *, status: str, response: str, base: float, note: bool
) -> None:
    """Show a routing decision; see `decision_markdown`."""
    page = await asyncio.to_thread(
        decision_markdown, decision, status=status, response=response, base=base, note=note
    )
    await publish_markdown(
        artifact_key("routing", decision.domain), page, description=decision_sentence(decision)
    )
