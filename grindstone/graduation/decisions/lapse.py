"""A level that lapses when the agent is no longer the one that earned it, and comes back.

A promotion, an exam and a lapse keep the agent's model, program, prompts, tools and skills.
Where a part that the policy names is another one now, the level is one lower until the agent
has passed an exam as it is.
"""

from collections.abc import Mapping

from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import Agent, agent_of
from grindstone.graduation.decisions.exam_standing import exams_for
from grindstone.graduation.decisions.retakes import stated_identity
from grindstone.graduation.evidence.identity import (
    AgentIdentity,
    first_runs,
    identities_of,
    identity_of,
)
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level

SYSTEM = "grindstone"
"""Who decided, where no human did."""


def bound_identity(agent: Agent) -> tuple[AgentIdentity, int]:
    """Return the agent that holds the present level, and the number of the event that says so."""
    for event in reversed(agent.changes):
        if "agent" in event.evidence:
            return stated_identity(event), event.sequence
    return AgentIdentity(), 0


def lapse_reason(registry: Registry, agent: Agent, present: AgentIdentity) -> str:
    """Return why an agent's level lapses; empty where it holds."""
    if agent.level is Level.STUDENT or agent.lapsed_from is not None:
        return ""
    bound, since = bound_identity(agent)
    if not agent.stands_apart:
        return ""  # the level is that of everything, and lapses there
    policy = registry.policy(agent.agent_id)
    if since and not bound.model and agent.since is not None:
        # Nobody knew with what it ran: the level is held by what it was first seen to run with.
        seen = first_runs(registry, policy, agent.agent_id, agent.since)
        runs = {"model": seen.model, "program": bound.program or seen.program}
        bound = bound.model_copy(update=runs)
    parts = bound.differs(present, policy.lapse_on)
    if not parts:
        return ""
    told = ", ".join(
        f"another {part} ({getattr(bound, part)} → {getattr(present, part)})"
        if part in ("model", "program")
        else f"other {part}"
        for part in parts
    )
    return f"{told} than event {since} was decided on; an exam for {agent.level.value} is due"


def lapses(registry: Registry, agents: Mapping[str, Agent]) -> dict[str, AgentIdentity]:
    """Return the agents whose level lapses, with what they are made of now."""
    able = [
        name
        for name, agent in agents.items()
        if agent.level is not Level.STUDENT
        and agent.lapsed_from is None
        and bound_identity(agent)[1]
    ]
    found = identities_of(registry, able)
    return {
        name: each for name, each in found.items() if lapse_reason(registry, agents[name], each)
    }


def lapse_all_changed(registry: Registry, agent_id: str, present: AgentIdentity) -> None:
    """Lower every level of an agent, in whatever scope, that is no longer the one it is."""
    for agent in registry.standings(agent_id):
        lapse_if_changed(registry, agent, present)


def lapse_if_changed(registry: Registry, known: Agent, present: AgentIdentity) -> AuditEvent | None:
    """Lower the level of an agent that is no longer the one that earned it, in its scope."""
    agent_id = known.agent_id

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft | None:
        agent, policy = agent_of(events, agent_id, known.scope), registry.policy(agent_id)
        reason, below = lapse_reason(registry, agent, present), agent.level.below
        if not reason or below is None:
            return None
        return EventDraft(
            kind=EventKind.LAPSED,
            agent_id=agent_id,
            from_level=agent.level,
            to_level=below,
            scope=agent.scope,
            by=SYSTEM,
            reason=reason,
            policy=policy.name,
            policy_digest=policy.digest,
            evidence={"agent": present.model_dump(mode="json")} | registry.drawn(agent),
            at=registry.clock(),
        )

    return registry.chain.append(decide)


def restoring(
    registry: Registry, events: tuple[AuditEvent, ...], agent_id: str, scope: str
) -> EventDraft | None:
    """Return the event that gives a lapsed level back; None where no exam has earned it."""
    agent, policy = agent_of(events, agent_id, scope), registry.policy(agent_id, scope)
    if agent.lapsed_from is None:
        return None
    found = exams_for(registry, agent, policy, agent.lapsed_from, as_examined=True)
    if not found.met:
        return None
    event, present = found.counted[0], identity_of(registry, agent_id)
    stated = stated_identity(event)
    runs = {"model": stated.model or present.model, "program": stated.program or present.program}
    now = present.model_copy(update=runs)
    return EventDraft(
        kind=EventKind.RESTORED,
        agent_id=agent_id,
        from_level=agent.level,
        to_level=agent.lapsed_from,
        scope=scope,
        by=SYSTEM,
        reason=f"examined again as it is now (event {event.sequence})",
        policy=policy.name,
        policy_digest=registry.policy(agent_id).digest,
        evidence={
            "agent": now.model_dump(mode="json"),
            "exams": [event.sequence],
            **registry.drawn(agent),
        },
        at=registry.clock(),
    )
