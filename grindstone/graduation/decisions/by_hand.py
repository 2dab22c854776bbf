"""What a named human does by hand: resets a capability, releases a skill."""

from grindstone.errors import InputError, RefusedError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.evidence.skill_levels import own_levels
from grindstone.graduation.registry import Registry


def reset_capability(
    registry: Registry, agent_id: str, capability: str, *, by: str, reason: str
) -> AuditEvent:
    """Set a capability back to nothing, its count included.

    Raises:
        InputError: Nobody is named, or the agent has no such capability.
    """
    own = own_levels(registry, agent_id).capabilities
    known = {each.capability for each in own} | {*registry.agent(agent_id).capability_levels}
    if capability not in known:
        there = ", ".join(sorted(known)) or "none so far"
        raise InputError("capability", f"{agent_id} has no {capability!r}", f"one of {there}")
    return _note(registry, EventKind.CAPABILITY_RESET, agent_id, capability, by, reason)


def release_skill(
    registry: Registry, agent_id: str, skill: str, *, by: str, reason: str
) -> AuditEvent:
    """Let a skill that has earned it act beyond its agent's level.

    Raises:
        InputError: Nobody is named.
        RefusedError: The skill has not earned it.
    """
    own = {each.skill: each for each in own_levels(registry, agent_id).skills}
    found = own.get(skill)
    if found is None:
        there = ", ".join(own) or "none so far"
        raise InputError("skill", f"{agent_id} has used no {skill!r}", f"one of {there}")
    if not found.earned:
        raise RefusedError(
            f"skill {skill} of {agent_id} is not released: it has {found.streak} clean runs in a "
            f"row of the {found.required} that it takes"
        )
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
