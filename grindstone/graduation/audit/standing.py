"""What the audit trail says of each agent: its level, its exam, its approvals. A pure fold.

An agent is looked at in one scope of its work. A level given there holds there alone; until one
is given, the level that holds everywhere does, and it is taken over later where it rises above.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventKind
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import same_person
from grindstone.graduation.rules.scope import Scope, Subject

AGENT_ID_CHARS = 128
"""The longest id of an agent; it names folders and files."""

LEVEL_CHANGES = (
    EventKind.ENROLLED,
    EventKind.PROMOTED,
    EventKind.DEMOTED,
    EventKind.LAPSED,
    EventKind.RESTORED,
)


SCOPED = (
    *LEVEL_CHANGES,
    EventKind.EXAMINED,
    EventKind.APPROVED,
    EventKind.REFUSED,
    EventKind.PROPOSED,
)
"""What is said of one scope; all else is said of the agent."""


class Agent(Frozen):
    """An agent as the trail has it; what is not named here is as for a new STUDENT."""

    agent_id: str
    scope: str = ""  # the part of its work in which it is looked at; empty: all of it
    name: str = ""
    level: Level = Level.STUDENT
    since: datetime | None = None
    changes: tuple[AuditEvent, ...] = ()
    lapsed_from: Level | None = None  # what an exam gives back
    exams: tuple[AuditEvent, ...] = ()  # since the last change of level
    answers: tuple[AuditEvent, ...] = ()  # likewise: all approvals and refusals
    approvals: tuple[AuditEvent, ...] = ()  # likewise; a refusal takes them back
    refusals: tuple[AuditEvent, ...] = ()  # likewise; the same person's approval takes it back
    proposals: tuple[AuditEvent, ...] = ()  # likewise, and not answered yet
    released_skills: frozenset[str] = frozenset()
    promoted_skills: frozenset[str] = frozenset()
    capability_resets: dict[str, datetime] = {}
    capability_levels: dict[str, Level] = {}

    @property
    def own_change(self) -> AuditEvent | None:
        """The last change of level in this very scope; None: the level is that of everything."""
        return next((each for each in reversed(self.changes) if each.scope == self.scope), None)

    @property
    def stands_apart(self) -> bool:
        """Whether its level was given for this scope, or this is no part of the work but all."""
        return not self.scope or self.own_change is not None

    def given_for(self, subject: Subject) -> bool:
        """Tell whether the level of this scope was given for such work: as its event drew it."""
        rule = self.own_change.evidence.get("scope") if self.own_change else None
        return Scope.model_validate(rule).holds(subject) if isinstance(rule, dict) else True

    @property
    def taken(self) -> Scope | None:
        """The part of its work that its level was last lowered in, as its event drew it."""
        last = self.own_change
        rule = last.evidence.get("scope") if last else None
        lowered = last is not None and last.kind in (EventKind.DEMOTED, EventKind.LAPSED)
        return Scope.model_validate(rule) if lowered and isinstance(rule, dict) else None

    @property
    def label(self) -> str:
        """The agent, and the scope where one is meant, as a message names them."""
        return f"{self.agent_id} in {self.scope}" if self.scope else self.agent_id


def agent_name(agent_id: str) -> str:
    """Return an agent's id as it was given.

    Raises:
        InputError: It is blank, overlong, climbs out of a folder or holds what nobody sees.
    """
    kinds = [unicodedata.category(each) for each in agent_id]
    hidden = any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds)
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


def everywhere(agent_id: str) -> str:
    """Return the scope of all work, whoever does it."""
    return ""


def agents_of(
    events: Iterable[AuditEvent], scope_of: Callable[[str], str] = everywhere
) -> dict[str, Agent]:
    """Return every agent the trail names.

    Args:
        events: The trail's.
        scope_of: Names the scope in which an agent is looked at.
    """
    found: dict[str, Agent] = {}
    for event in events:
        name = event.agent_id
        if name:
            agent = found.get(name) or Agent(agent_id=name, scope=scope_of(name))
            found[name] = _after(agent, event)
    return found


def agent_of(events: Iterable[AuditEvent], agent_id: str, scope: str = "") -> Agent:
    """Return one agent in a scope; a STUDENT since its beginning when the trail is silent."""
    own = (event for event in events if event.agent_id == agent_id)
    found = agents_of(own, lambda _: scope).get(agent_id)
    return found or Agent(agent_id=agent_id, scope=scope)


def _concerns(agent: Agent, event: AuditEvent) -> bool:
    """Tell whether an event says something of an agent in its scope."""
    if event.scope == agent.scope or event.kind not in SCOPED:
        return True
    if event.scope or event.kind not in LEVEL_CHANGES or event.to_level is None:
        return False
    own = agent.own_change
    lowered = own is not None and own.kind in (EventKind.DEMOTED, EventKind.LAPSED)
    return own is None or (not lowered and event.to_level.rank > agent.level.rank)


def _after(agent: Agent, event: AuditEvent) -> Agent:  # noqa: PLR0911 - one line per kind
    if not _concerns(agent, event):
        return agent
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
                "answers": (),
                "approvals": (),
                "refusals": (),
                "proposals": (),
            }
        )
    if kind is EventKind.EXAMINED:
        return agent.model_copy(update={"exams": (*agent.exams, event)})
    if kind is EventKind.APPROVED:
        others = tuple(each for each in agent.refusals if not same_person(each.by, event.by))
        said = {"answers": (*agent.answers, event), "approvals": (*agent.approvals, event)}
        return agent.model_copy(update={**said, "refusals": others, "proposals": ()})
    if kind is EventKind.REFUSED:
        said = {"answers": (*agent.answers, event), "refusals": (*agent.refusals, event)}
        return agent.model_copy(update={**said, "approvals": (), "proposals": ()})
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
