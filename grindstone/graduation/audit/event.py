"""One event of the audit trail: what was decided, by whom, on what evidence."""

from enum import StrEnum
from typing import Any

from pydantic import (
    AwareDatetime,
    Field,
    JsonValue,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from grindstone.base import Frozen
from grindstone.digest import canonical_json, digest
from grindstone.errors import GrindstoneError
from grindstone.graduation.rules.levels import Level

GENESIS = "0" * 64
"""What the first event names as its predecessor."""


class AuditError(GrindstoneError):
    """The audit trail is damaged; nothing more is built on it. The message names the event."""


class EventKind(StrEnum):
    """What happened."""

    ENROLLED = "enrolled"  # an agent was taken over at a level, by a named human
    PROPOSED = "proposed"  # a review found an agent ready, or a demotion due
    APPROVED = "approved"
    REFUSED = "refused"
    EXAMINED = "examined"
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    LAPSED = "lapsed"  # the agent is no longer the one that was promoted
    RESTORED = "restored"  # it was examined again as it is now
    SKILL_PROMOTED = "skill_promoted"
    SKILL_DEMOTED = "skill_demoted"
    SKILL_RELEASED = "skill_released"  # a named human let a skill go beyond its agent
    CAPABILITY_CHANGED = "capability_changed"
    CAPABILITY_RESET = "capability_reset"
    CASE_ADDED = "case_added"
    CASE_RETIRED = "case_retired"  # a named human took an edge case out of all exams
    IMPORTED = "imported"
    ACTION_APPROVED = "action_approved"  # a live action, by a human
    ACTION_REFUSED = "action_refused"
    TASK_APPROVED = "task_approved"  # a routed task that was to be reviewed, by a human
    TASK_REFUSED = "task_refused"


class EventDraft(Frozen):
    """An event before it has a place in the chain."""

    kind: EventKind
    agent_id: str = Field("", description="Empty: it concerns no single agent.")
    subject: str = Field("", description="The skill, capability, edge case or file meant.")
    from_level: Level | None = None
    to_level: Level | None = None
    scope: str = Field("", description="The part of the work it holds for; empty: all of it.")
    by: str = Field(description="The human's name, or the part of the system that decided.")
    reason: str = ""
    policy: str = ""
    policy_digest: str = ""
    evidence: dict[str, JsonValue] = {}
    at: AwareDatetime
    effective_at: AwareDatetime | None = Field(
        None, description="Since when a level holds; empty: since `at`."
    )

    @model_serializer(mode="wrap")
    def _without_an_empty_scope(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # An event that holds everywhere is spelled, and digested, as before there were scopes.
        found: dict[str, Any] = write(self)
        if not found.get("scope"):
            found.pop("scope", None)
        return found


class AuditEvent(EventDraft):
    """An event in its place: `digest` covers all of it, its predecessor's digest included."""

    sequence: PositiveInt
    previous: str = Field(pattern=r"^[0-9a-f]{64}$")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.sequence:06d}.json"

    def file(self) -> bytes:
        """Return the one spelling its file may have."""
        return canonical_json(self).encode() + b"\n"


def seal(draft: EventDraft, *, sequence: int, previous: str) -> AuditEvent:
    """Give an event its place."""
    body = draft.model_dump(mode="json") | {"sequence": sequence, "previous": previous}
    return AuditEvent.model_validate(body | {"digest": digest(body)})


def digest_of(event: AuditEvent) -> str:
    """Return the digest an event's content has."""
    return digest(event.model_dump(mode="json", exclude={"digest"}))
