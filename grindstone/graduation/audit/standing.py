"""What the audit trail says of each agent: its level, its exam, its approvals. A pure fold."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventKind
from grindstone.graduation.rules.levels import Level

AGENT_ID_CHARS = 128
"""The longest id of an agent; it names folders and files."""

LEVEL_CHANGES = (
    EventKind.ENROLLED,
    EventKind.PROMOTED,
    EventKind.DEMOTED,
    EventKind.LAPSED,
    EventKind.RESTORED,
)


class Agent(Frozen):
    """An agent as the trail has it; what is not named here is as for a new STUDENT."""

    agent_id: str
    name: str = ""
    level: Level = Level.STUDENT
    since: datetime | None = None
    changes: tuple[AuditEvent, ...] = ()
    lapsed_from: Level | None = None  # what an exam gives back
    exams: tuple[AuditEvent, ...] = ()  # since the last change of level
    approvals: tuple[AuditEvent, ...] = ()  # likewise; a refusal takes them back
    refusals: tuple[AuditEvent, ...] = ()  # likewise; the same person's approval takes it back
    proposals: tuple[AuditEvent, ...] = ()  # likewise, and not answered yet
    released_skills: frozenset[str] = frozenset()
    promoted_skills: frozenset[str] = frozenset()
    capability_resets: dict[str, datetime] = {}
    capability_levels: dict[str, Level] = {}


def agent_name(agent_id: str) -> str:
    """Return an agent's id as it was given.

    Raises:
        InputError: It is blank, overlong, climbs out of a folder or holds what nobody sees.
    """
    hidden = any(unicodedata.category(each)[0] == "C" for each in agent_id)
    climbs = {".", ".."} & set(re.split(r"[/\\]", agent_id))
    if not agent_id.strip() or agent_id != agent_id.strip() or hidden or climbs:
        raise InputError("agent_id", f"is {agent_id!r}", "a name of printable characters")
    if len(agent_id) > AGENT_ID_CHARS:
        raise InputError(
            "agent_id",
            f"has {len(agent_id)} characters: {agent_id[:20]}…",
            f"at most {AGENT_ID_CHARS}",
        )
    return agent_id


def agents_of(events: Iterable[AuditEvent]) -> dict[str, Agent]:
    """Return every agent the trail names."""
    found: dict[str, Agent] = {}
    for event in events:
        if event.agent_id:
            agent = found.get(event.agent_id) or Agent(agent_id=event.agent_id)
            found[event.agent_id] = _after(agent, event)
    return found


def agent_of(events: Iterable[AuditEvent], agent_id: str) -> Agent:
    """Return one agent; a STUDENT since its beginning when the trail does not name it."""
    return agents_of(event for event in events if event.agent_id == agent_id).get(
        agent_id
    ) or Agent(agent_id=agent_id)


def _after(agent: Agent, event: AuditEvent) -> Agent:  # noqa: PLR0911 - one line per kind
    kind, subject = event.kind, event.subject
    if kind in LEVEL_CHANGES and event.to_level is not None:
        name = event.evidence.get("name")
        return agent.model_copy(
            update={
                "name": str(name) if name else agent.name,
                "level": event.to_level,
                "since": event.effective_at or event.at,
                "lapsed_from": event.from_level if kind is EventKind.LAPSED else None,
                "changes": (*agent.changes, event),
                "exams": (),
                "approvals": (),
                "refusals": (),
                "proposals": (),
            }
        )
    if kind is EventKind.EXAMINED:
        return agent.model_copy(update={"exams": (*agent.exams, event)})
    if kind is EventKind.APPROVED:
        others = tuple(each for each in agent.refusals if each.by != event.by)
        approvals = (*agent.approvals, event)
        return agent.model_copy(
            update={"approvals": approvals, "refusals": others, "proposals": ()}
        )
    if kind is EventKind.REFUSED:
        refusals = (*agent.refusals, event)
        return agent.model_copy(update={"approvals": (), "refusals": refusals, "proposals": ()})
    if kind is EventKind.PROPOSED:
        return agent.model_copy(update={"proposals": (*agent.proposals, event)})
    if kind is EventKind.SKILL_RELEASED:
        return agent.model_copy(update={"released_skills": agent.released_skills | {subject}})
    if kind is EventKind.SKILL_PROMOTED:
        return agent.model_copy(update={"promoted_skills": agent.promoted_skills | {subject}})
    if kind is EventKind.SKILL_DEMOTED:
        return agent.model_copy(
            update={
                "promoted_skills": agent.promoted_skills - {subject},
                "released_skills": agent.released_skills - {subject},
            }
        )
    if kind is EventKind.CAPABILITY_RESET:
        resets = {**agent.capability_resets, subject: event.at}
        levels = {**agent.capability_levels, subject: Level.STUDENT}
        return agent.model_copy(update={"capability_resets": resets, "capability_levels": levels})
    if kind is EventKind.CAPABILITY_CHANGED and event.to_level is not None:
        levels = {**agent.capability_levels, subject: event.to_level}
        return agent.model_copy(update={"capability_levels": levels})
    return agent
