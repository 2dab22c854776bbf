"""Taking an agent over at a level: on its record, or on two people's word."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue

from grindstone.errors import InputError, RefusedError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import Agent, agent_name, agent_of
from grindstone.graduation.decisions.approval import worked_on
from grindstone.graduation.evidence.identity import identity_of
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import folded, same_person


def enrol(
    registry: Registry,
    agent_id: str,
    level: Level,
    *,
    by: str,
    second: str = "",
    reason: str,
    name: str = "",
    since: datetime | None = None,
    scope: str | None = None,
) -> AuditEvent:
    """Give an agent its first level; arguments as of `GraduationService.enrol_agent`.

    Raises:
        InputError: The agent has a level already, nobody is named, both are one person, or
            `since` is no time that has been.
        RefusedError: Neither the record nor a second person stands for the level.
    """
    agent_name(agent_id)
    if since is not None and (since.tzinfo is None or since > registry.clock()):
        said = "has no zone" if since.tzinfo is None else "is in the future"
        raise InputError("since", f"{since} {said}", "since when it holds the level")
    within = registry.scope_name(agent_id, scope)
    agent = registry.agent(agent_id, within)
    if agent.changes:
        raise InputError(agent.label, "has a level already", "an agent not known so far")
    people = [registry.person(by, "enrol", agent_id, scope=within).name]
    if second:
        person = registry.person(second, "enrol", agent_id, "second", scope=within)
        people.append(person.name)
        if same_person(*people):
            raise InputError("second", f"is {second!r} as well", "another person than `by`")
    evidence: dict[str, JsonValue] = {"name": name} if name else {}
    if level is not Level.STUDENT:
        evidence |= _grounds(registry, agent, level, people, reason=reason)
        evidence |= {"agent": identity_of(registry, agent_id).model_dump(mode="json")}

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft:
        if agent_of(events, agent_id, within).changes:
            raise InputError(agent.label, "has a level already", "an agent not known so far")
        return EventDraft(
            kind=EventKind.ENROLLED,
            agent_id=agent_id,
            to_level=level,
            scope=within,
            by=" and ".join(people),
            reason=reason,
            evidence=evidence | registry.drawn(agent),
            at=registry.clock(),
            effective_at=since,
        )

    event = registry.chain.append(decide)
    assert event is not None
    return event


def _grounds(
    registry: Registry, agent: Agent, level: Level, people: Sequence[str], *, reason: str
) -> dict[str, JsonValue]:
    """Return what the level rests on."""
    if not reason.strip():
        raise InputError("reason", "is empty", f"why {agent.label} is {level.value} from the start")
    found = _readiness(registry, agent, level)
    said = found.model_dump(mode="json", exclude={"recommendation"})
    if len(people) > 1:
        return {"grounds": "two people", "readiness": said}
    policy = registry.policy(agent.agent_id, agent.scope)
    if (needed := policy.approvers_needed.get(level, 1)) > 1:
        raise RefusedError(
            f"{agent.label} is not enrolled as {level.value}: policy {policy.name} asks for "
            f"{needed} people there, and `second` names none"
        )
    if policy.separate_duties and (did := worked_on(registry, agent.agent_id).get(folded(*people))):
        raise RefusedError(
            f"{agent.label} is not enrolled as {level.value}: {people[0]} {did} its work, and a "
            "second person (`second`) is asked for"
        )
    if not found.ready:
        listed = "\n".join(f"  - {gap}" for gap in found.gaps)
        raise RefusedError(
            f"{agent.label} is not enrolled as {level.value}: its record does not show it, and no "
            f"second person stands for it (`second`):\n{listed}"
        )
    return {"grounds": "record", "readiness": said}


def _readiness(registry: Registry, agent: Agent, level: Level) -> Readiness:
    policy = registry.policy(agent.agent_id, agent.scope).model_copy(update={"window": "all"})
    return registry.readiness_of([agent.agent_id], policy, level)[agent.agent_id]
