"""Changing a level: up one step when everything asked for is there, down when it is lost.

Each change is decided in view of the audit trail's end and takes the next place in it, so
of two processes that promote the same agent at once the second sees what the first did.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from grindstone.errors import InputError, RefusedError
from grindstone.graduation.audit.counted_rows import seal_rows
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import Agent, agent_of
from grindstone.graduation.decisions.approval import (
    approval_met,
    approving,
    refuse_channel,
    since_digest,
)
from grindstone.graduation.decisions.exam_standing import exams_for, is_rehearsed
from grindstone.graduation.decisions.lapse import SYSTEM
from grindstone.graduation.evidence.identity import identity_of
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.evidence.requirements import Criterion, Requirement
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import answer_message, check_signature
from grindstone.graduation.rules.policy import Policy


def obstacles(
    registry: Registry, agent: Agent, readiness: Readiness, *, validated_by: str
) -> tuple[Requirement, ...]:
    """Return every requirement of a promotion, met or not.

    Args:
        registry: Policies and edge cases.
        agent: The agent as the trail has it.
        readiness: Its readiness for the level.
        validated_by: Who asks for it; empty or the system's own name: nobody.
    """
    policy, target = registry.policy(agent.agent_id, agent.scope), readiness.target
    one_up = agent.level.above is target
    direction = Requirement(
        name=Criterion.ONE_LEVEL_UP.value,
        required=f"the level above {agent.level.value}",
        observed=target.value,
        met=one_up,
        gap="" if one_up else f"{target.value} is not the next level up from {agent.level.value}",
    )
    return (
        direction,
        *readiness.requirements,
        *_examined(registry, agent, policy, target),
        *approval_met(registry, agent, policy, target, validated_by),
    )


def promote(
    registry: Registry,
    agent_id: str,
    target: Level,
    *,
    validated_by: str,
    scope: str | None = None,
) -> AuditEvent:
    """Raise an agent's level by one, in a scope of its policy; the policy's own by default.

    Raises:
        InputError: The policy has no such scope.
        RefusedError: Something is missing; the message lists all of it.
    """
    name = registry.scope_name(agent_id, scope)

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft:
        agent = agent_of(events, agent_id, name)
        # Reckoned in view of the trail's end: an episode counts from the last change of level.
        readiness = registry.readiness(agent_id, target, scope=name)
        missing = [
            item.gap
            for item in obstacles(registry, agent, readiness, validated_by=validated_by)
            if not item.met
        ]
        if missing:
            listed = "\n".join(f"  - {gap}" for gap in missing)
            raise RefusedError(f"{agent.label} is not promoted to {target.value}:\n{listed}")
        exams = [event for event in agent.exams if event.evidence.get("passed") is True]
        policy = registry.policy(agent_id, name)
        rows = seal_rows(registry, policy, agent, exams)
        seen: dict[str, JsonValue] = {
            "exams": [event.sequence for event in agent.exams],
            "approvals": [event.sequence for event in agent.approvals],
            "rows": rows.model_dump(mode="json"),
            "agent": identity_of(registry, agent_id).model_dump(mode="json"),
        }
        return _draft(
            registry,
            EventKind.PROMOTED,
            agent,
            target,
            by=_named(registry, agent, policy, target, validated_by),
            reason=readiness.recommendation,
            evidence=evidence_of(readiness) | seen,
        )

    event = registry.chain.append(decide)
    assert event is not None
    return event


def demote(
    registry: Registry,
    known: Agent,
    target: Level,
    *,
    by: str,
    reason: str,
    evidence: dict[str, JsonValue] | None = None,
) -> AuditEvent:
    """Lower an agent's level in the scope it is looked at in; for this a reason is enough.

    Raises:
        RefusedError: The level is not below the agent's.
        InputError: No reason or name is given.
    """
    if not reason.strip():
        raise InputError("demotion", "has no reason", "why it is lowered")
    agent_id, scope = known.agent_id, known.scope
    if by != SYSTEM:
        by = registry.person(by, "demote", agent_id, scope=scope).name

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft:
        agent = agent_of(events, agent_id, scope)
        if target.rank >= agent.level.rank:
            raise RefusedError(
                f"{agent.label} is not demoted: {target.value} is not below {agent.level.value}"
            )
        return _draft(
            registry,
            EventKind.DEMOTED,
            agent,
            target,
            by=by,
            reason=reason,
            evidence=evidence or {},
        )

    event = registry.chain.append(decide)
    assert event is not None
    return event


def answer(
    registry: Registry,
    agent_id: str,
    target: Level,
    *,
    approved: bool,
    by: str,
    reason: str,
    channel: str,
    signature: str = "",
    scope: str | None = None,
) -> AuditEvent:
    """Keep a named human's answer to a proposal.

    Raises:
        InputError: Nobody is named, the person may not answer for the agent, or has a key that
            did not sign the answer; or it could not count: by its level, or its channel.
    """
    within = registry.scope_name(agent_id, scope)
    person = registry.person(by, "approve", agent_id, scope=within)
    name = person.name
    if approved:
        refuse_channel(registry.policy(agent_id, within), channel)

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft:
        agent = agent_of(events, agent_id, within)
        if person.public_key:
            since = since_digest(agent, name)
            message = answer_message(
                agent_id, target.value, approved=approved, by=name, since=since, scope=within
            )
            check_signature(person, message, signature)
        above = agent.level.above
        if above is not target:
            problem = f"{target.value} is not the next level up from {agent.level.value}"
            raise InputError("to", problem, above.value if above else "no answer; none is above")
        said: dict[str, JsonValue] = {"channel": channel}
        if signature:
            said["signature"] = signature
        return _draft(
            registry,
            EventKind.APPROVED if approved else EventKind.REFUSED,
            agent,
            target,
            by=name,
            reason=reason,
            evidence=said,
        )

    event = registry.chain.append(decide)
    assert event is not None
    return event


def propose(
    registry: Registry, known: Agent, target: Level, *, reason: str, evidence: dict[str, JsonValue]
) -> AuditEvent | None:
    """Note that a change of level is due; None when the same is proposed already."""

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft | None:
        agent = agent_of(events, known.agent_id, known.scope)
        if any(event.to_level is target for event in (*agent.proposals, *agent.approvals)):
            return None
        return _draft(
            registry,
            EventKind.PROPOSED,
            agent,
            target,
            by=SYSTEM,
            reason=reason,
            evidence=evidence,
        )

    return registry.chain.append(decide)


def _draft(
    registry: Registry,
    kind: EventKind,
    agent: Agent,
    target: Level,
    *,
    by: str,
    reason: str,
    evidence: dict[str, JsonValue],
) -> EventDraft:
    """Return a decision about an agent's level, under the policy it has now."""
    policy = registry.policy(agent.agent_id)
    return EventDraft(
        kind=kind,
        agent_id=agent.agent_id,
        from_level=agent.level,
        to_level=target,
        scope=agent.scope,
        by=by,
        reason=reason,
        policy=policy.name,
        policy_digest=policy.digest,
        evidence=evidence | registry.drawn(agent),
        at=registry.clock(),
    )


def evidence_of(readiness: Readiness) -> dict[str, JsonValue]:
    """Return a readiness as an event keeps it."""
    return {
        "readiness": readiness.model_dump(mode="json", exclude={"recommendation"}),
    }


def _examined(
    registry: Registry, agent: Agent, policy: Policy, target: Level
) -> Sequence[Requirement]:
    if not policy.exam.required:
        return ()
    found = exams_for(registry, agent, policy, target)
    rehearsed = [event for event in found.by_merit if is_rehearsed(event)]
    unchanged = [event for event in found.passed if not found.changed[event.sequence]]
    observed = (
        f"{len(agent.exams)} since the last change of level, {len(found.by_merit)} of them passed"
    )
    if rehearsed:
        observed += f", {len(rehearsed)} of those as a rehearsal"
    if found.lacking:
        gap = found.lacking
    elif not found.enough:
        gap = (
            f"there are {found.wanted} edge cases to be examined on that it never trained on (at "
            f"least {policy.exam.min_cases}); without cases no exam is passed"
        )
    elif unchanged and not found.by_merit:
        last = unchanged[-1].sequence
        gap = (
            f"the exam for {target.value} (event {last}) was passed after the very same agent had "
            f"failed it {found.failed[last]} times, of which {policy.exam.retakes} are forgiven; "
            "it counts again once the agent has learned something or runs with another model"
        )
    elif found.passed and not found.by_merit:
        last = found.passed[-1].sequence
        parts = ", ".join(found.changed[last])
        gap = (
            f"the exam for {target.value} (event {last}) was passed with other "
            f"{parts} than the agent has now"
        )
    elif rehearsed:
        gap = (
            f"the exam for {target.value} was passed as a rehearsal, which does not count: the "
            "offline stand-in or a task's own solution took it"
        )
    else:
        gap = f"no exam for {target.value} over all {found.wanted} edge cases has been passed"
    return (
        Requirement(
            name=Criterion.EXAM.value,
            required=f"a passed exam on all {found.wanted} edge cases",
            observed=observed,
            met=found.met,
            gap="" if found.met else gap,
        ),
    )


def _named(
    registry: Registry, agent: Agent, policy: Policy, target: Level, validated_by: str
) -> str:
    """Return who answers for a promotion, in one line."""
    people = approving(registry, agent, policy, target, validated_by).counted
    return " and ".join(people) or SYSTEM
