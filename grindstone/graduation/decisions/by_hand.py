"""What a named human does by hand: takes an agent over, resets a capability, releases a skill."""

from datetime import datetime

from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import agent_name, agent_of
from grindstone.graduation.decisions.promotion import named_human
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level


def enrol(
    registry: Registry,
    agent_id: str,
    level: Level,
    *,
    by: str,
    reason: str,
    name: str = "",
    since: datetime | None = None,
) -> AuditEvent:
    """Take an agent over at a level; only once.

    Args:
        registry: The home's.
        agent_id: An agent that has no level yet.
        level: Where it begins.
        by: The human who answers for it.
        reason: Why.
        name: What people call it.
        since: When it came to be at that level, if it was before now.

    Raises:
        InputError: The agent has a level already, or nobody is named.
    """
    human = named_human(by)
    agent_name(agent_id)

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft:
        if agent_of(events, agent_id).changes:
            raise InputError(agent_id, "has a level already", "an agent not known so far")
        return EventDraft(
            kind=EventKind.ENROLLED,
            agent_id=agent_id,
            to_level=level,
            by=human,
            reason=reason,
            evidence={"name": name} if name else {},
            at=registry.clock(),
            effective_at=since,
        )

    event = registry.chain.append(decide)
    assert event is not None
    return event


def reset_capability(
    registry: Registry, agent_id: str, capability: str, *, by: str, reason: str
) -> AuditEvent:
    """Set a capability back to nothing, its count included.

    Raises:
        InputError: Nobody is named.
    """
    return _note(registry, EventKind.CAPABILITY_RESET, agent_id, capability, by, reason)


def release_skill(
    registry: Registry, agent_id: str, skill: str, *, by: str, reason: str
) -> AuditEvent:
    """Let a skill that has earned it act beyond its agent's level.

    Raises:
        InputError: Nobody is named.
    """
    return _note(registry, EventKind.SKILL_RELEASED, agent_id, skill, by, reason)


def _note(
    registry: Registry, kind: EventKind, agent_id: str, subject: str, by: str, reason: str
) -> AuditEvent:
    draft = EventDraft(
        kind=kind,
        agent_id=agent_id,
        subject=subject,
        by=named_human(by),
        reason=reason,
        at=registry.clock(),
    )
    event = registry.chain.append(lambda _: draft)
    assert event is not None
    return event
