"""What a named human does by hand: resets a capability, releases a skill."""

from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.registry import Registry


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
        by=registry.person(by, "release", agent_id).name,
        reason=reason,
        at=registry.clock(),
    )
    event = registry.chain.append(lambda _: draft)
    assert event is not None
    return event
