"""Words to Prefect's event log: episodes, and what the audit trail gained."""

from collections.abc import Sequence
from uuid import UUID

from prefect.events import emit_event

from grindstone.graduation.audit.event import AuditEvent
from grindstone.records import Episode

HEARTBEAT = "prefect.flow-run.heartbeat"
"""Prefect's event of a flow run whose process lives."""
EPISODE_EVENT = "grindstone.episode.recorded"
"""Emitted for each episode of a record; an automation may answer it with a review."""


def tell_episode(episode: Episode) -> None:
    """Emit the event of an episode."""
    emit_event(
        EPISODE_EVENT,
        resource=_agent(episode.agent_id),
        payload={
            "agent_id": episode.agent_id,
            "episode_id": episode.episode_id,
            "task_id": episode.task_id,
            "passed": episode.passed,
        },
    )


def tell_alive(flow_run_id: UUID) -> None:
    """Emit a sign of life of a flow run."""
    emit_event(HEARTBEAT, resource={"prefect.resource.id": f"prefect.flow-run.{flow_run_id}"})


def tell_events(events: Sequence[AuditEvent]) -> None:
    """Emit audit events into Prefect, which so becomes a second witness of their digests."""
    for event in events:
        emit_event(
            f"grindstone.graduation.{event.kind.value}",
            resource=_agent(event.agent_id or "all"),
            payload={
                "sequence": event.sequence,
                "digest": event.digest,
                "agent_id": event.agent_id,
                "subject": event.subject,
                "from_level": event.from_level.value if event.from_level else "",
                "to_level": event.to_level.value if event.to_level else "",
                "by": event.by,
                "reason": event.reason,
            },
        )


def _agent(agent_id: str) -> dict[str, str]:
    return {"prefect.resource.id": f"grindstone.agent.{agent_id}"}
