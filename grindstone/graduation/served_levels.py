"""The service's methods that change levels, each through the audit trail."""

import asyncio
from datetime import datetime

from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import agent_name, agent_of
from grindstone.graduation.decisions.promotion import answer, demote, named_human, promote
from grindstone.graduation.registry import Registry
from grindstone.graduation.results import LevelChange
from grindstone.graduation.rules.levels import Level


class ServedLevels:
    """Promotion, demotion, answers and what only a named human may do."""

    registry: Registry

    async def promote_agent(
        self, agent_id: str, new_maturity: str | Level, validated_by: str
    ) -> LevelChange:
        """Raise an agent's level by one.

        Raises:
            RefusedError: It is not ready, not examined, not approved, or the level is not
                the next one up; the message lists all that is missing.
        """
        target = Level.parse(new_maturity, "new_maturity")
        return _change(
            await asyncio.to_thread(
                promote, self.registry, agent_id, target, validated_by=validated_by
            )
        )

    async def demote_agent(
        self, agent_id: str, new_maturity: str | Level, by: str, reason: str
    ) -> LevelChange:
        """Lower an agent's level."""
        target = Level.parse(new_maturity, "new_maturity")
        return _change(
            await asyncio.to_thread(demote, self.registry, agent_id, target, by=by, reason=reason)
        )

    async def answer_proposal(
        self,
        agent_id: str,
        target: str | Level,
        *,
        approved: bool,
        by: str,
        reason: str = "",
        channel: str = "api",
    ) -> AuditEvent:
        """Keep a named human's answer; `channel` is `ui` for the Prefect UI."""
        return await asyncio.to_thread(
            answer,
            self.registry,
            agent_id,
            Level.parse(target),
            approved=approved,
            by=by,
            reason=reason,
            channel=channel,
        )

    async def enrol_agent(
        self,
        agent_id: str,
        maturity: str | Level,
        *,
        by: str,
        reason: str,
        name: str = "",
        since: datetime | None = None,
    ) -> AuditEvent:
        """Take an agent over at a level, on a named human's word; only once.

        Raises:
            InputError: The agent has a level already, or nobody is named.
        """
        human, level = named_human(by), Level.parse(maturity)
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
                at=self.registry.clock(),
                effective_at=since,
            )

        event = await asyncio.to_thread(self.registry.chain.append, decide)
        assert event is not None
        return event

    async def reset_capability(
        self, agent_id: str, capability: str, *, by: str, reason: str
    ) -> AuditEvent:
        """Set a capability back to nothing, its count included."""
        return await self._note(EventKind.CAPABILITY_RESET, agent_id, capability, by, reason)

    async def release_skill(self, agent_id: str, skill: str, *, by: str, reason: str) -> AuditEvent:
        """Let a skill that has earned it act beyond its agent's level."""
        return await self._note(EventKind.SKILL_RELEASED, agent_id, skill, by, reason)

    async def _note(
        self, kind: EventKind, agent_id: str, subject: str, by: str, reason: str
    ) -> AuditEvent:
        draft = EventDraft(
            kind=kind,
            agent_id=agent_id,
            subject=subject,
            by=named_human(by),
            reason=reason,
            at=self.registry.clock(),
        )
        event = await asyncio.to_thread(self.registry.chain.append, lambda _: draft)
        assert event is not None
        return event


def _change(event: AuditEvent) -> LevelChange:
    return LevelChange(
        agent_id=event.agent_id,
        previous_maturity=event.from_level.value if event.from_level else "",
        new_maturity=event.to_level.value if event.to_level else "",
        validated_by=event.by,
        event=event.sequence,
        digest=event.digest,
        at=event.at.isoformat(),
    )
