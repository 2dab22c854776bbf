"""`GraduationService`: the documented methods over a home's ledger and audit trail."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from grindstone.errors import InputError, InternalError
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.trail import Trail, trail_of
from grindstone.graduation.constitution.checking import check
from grindstone.graduation.constitution.pack import Pack
from grindstone.graduation.decisions.by_hand import release_skill, reset_capability
from grindstone.graduation.decisions.edge_cases import EdgeCase, add_case
from grindstone.graduation.decisions.enrolment import enrol
from grindstone.graduation.decisions.exam import Examiner, examine
from grindstone.graduation.decisions.exam_pool import named_cases, pool_of, retire_case
from grindstone.graduation.decisions.promotion import answer, demote, promote
from grindstone.graduation.decisions.review import Review, review
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.evidence.skill_levels import SkillLevels, own_levels
from grindstone.graduation.record_keeper import RecordKeeper
from grindstone.graduation.registry import open_desk
from grindstone.graduation.results import (
    ComplianceResult,
    ExamOutcome,
    LevelChange,
    ReadinessResult,
    compliance_result,
    exam_outcome,
    level_change,
    readiness_result,
)
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy
from grindstone.graduation.rules.scope import Scope
from grindstone.graduation.sync import SyncGraduationService
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.llm.messages import Model
from grindstone.records import Episode, utc_now


class GraduationService(RecordKeeper):
    """Who may act alone, computed from the ledger and changed only through the audit trail.

    A level holds in a scope of the agent's work; where a method takes `scope`, that is its name
    in the agent's policy, and by default the one in which the policy gives levels.

    Args:
        home: The home folder, or its ledger.
        policies: Policies, or a folder of them; as in `open_desk` by default.
        constitution: Rule packs by name, or a folder of them; likewise.
        examiner: Has an agent attempt edge cases; without it there are no exams.
        judge: Decides judged rules; without it they stay undecided.
        clock: The present time.
    """

    def __init__(
        self,
        home: Home | Path | str | Ledger,
        *,
        policies: Sequence[Policy] | Path | None = None,
        constitution: Mapping[str, Pack] | Path | None = None,
        examiner: Examiner | None = None,
        judge: Model | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.registry = open_desk(home, policies=policies, constitution=constitution, clock=clock)
        self.examiner = examiner
        self.judge = judge

    @property
    def sync(self) -> SyncGraduationService:
        """The same methods without await, for code that has no event loop."""
        return SyncGraduationService(self)

    # Readiness

    async def calculate_readiness_score(
        self,
        agent_id: str,
        target_maturity: str | Level | None = None,
        *,
        scope: Scope | str | None = None,
    ) -> ReadinessResult:
        """Return score, gaps and recommendation for a level, the next one up by default."""
        return readiness_result(await self.assess(agent_id, target_maturity, scope=scope))

    async def assess(
        self,
        agent_id: str,
        target_maturity: str | Level | None = None,
        *,
        scope: Scope | str | None = None,
    ) -> Readiness:
        """Return the same as a record."""
        named = scope if isinstance(scope, str) else None

        def work() -> Readiness:
            target = self.registry.target_of(agent_id, target_maturity, named)
            return self.registry.readiness(agent_id, target, scope=scope)

        return await asyncio.to_thread(work)

    async def own_levels(self, agent_id: str) -> SkillLevels:
        """Return where an agent's skills and capabilities stand."""
        return await asyncio.to_thread(own_levels, self.registry, agent_id)

    async def review(self, agent_ids: Sequence[str] = ()) -> Review:
        """Look at all agents, or some, and do what their policies say."""
        return await review(self.registry, agent_ids, judge=self.judge)

    # Levels, each change through the audit trail

    async def promote_agent(
        self,
        agent_id: str,
        new_maturity: str | Level,
        validated_by: str,
        *,
        scope: str | None = None,
    ) -> LevelChange:
        """Raise an agent's level by one.

        Raises:
            RefusedError: It is not ready, not examined, not approved, or the level is not
                the next one up; the message lists all that is missing.
        """
        return level_change(await self.promoted(agent_id, new_maturity, validated_by, scope))

    async def promoted(
        self,
        agent_id: str,
        new_maturity: str | Level,
        validated_by: str,
        scope: str | None = None,
    ) -> AuditEvent:
        """Do the same, and return what the audit trail has of it."""
        target = Level.parse(new_maturity, "new_maturity")
        return await asyncio.to_thread(
            promote, self.registry, agent_id, target, validated_by=validated_by, scope=scope
        )

    async def demote_agent(
        self,
        agent_id: str,
        new_maturity: str | Level,
        by: str,
        reason: str,
        *,
        scope: str | None = None,
    ) -> LevelChange:
        """Lower an agent's level."""
        target = Level.parse(new_maturity, "new_maturity")
        agent = await asyncio.to_thread(self.registry.agent, agent_id, scope)
        return level_change(
            await asyncio.to_thread(demote, self.registry, agent, target, by=by, reason=reason)
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
        signature: str = "",
        scope: str | None = None,
    ) -> AuditEvent:
        """Keep a named human's answer.

        Args:
            agent_id: The agent.
            target: The level.
            approved: The answer.
            by: Who gives it.
            reason: Why.
            channel: `ui` for the Prefect UI.
            signature: Of an approver with a key, over `answer_message`, in base64.
            scope: The part of the work the level is for.
        """
        return await asyncio.to_thread(
            answer,
            self.registry,
            agent_id,
            Level.parse(target),
            approved=approved,
            by=by,
            reason=reason,
            channel=channel,
            signature=signature,
            scope=scope,
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
        second: str = "",
        scope: str | None = None,
    ) -> AuditEvent:
        """Take an agent over at a level; only once.

        Above STUDENT either its record meets that level's criteria, or two people answer for it
        and say why.

        Args:
            agent_id: The agent.
            maturity: The level.
            by: Who answers for it.
            reason: Why.
            name: The agent's, for people.
            since: Since when it holds the level.
            second: The other person, where the record does not show it.
            scope: The part of the work the level holds for.

        Raises:
            InputError: The agent has a level already, nobody is named, or both are one person.
            RefusedError: Neither the record nor a second person stands for the level.
        """
        return await asyncio.to_thread(
            enrol,
            self.registry,
            agent_id,
            Level.parse(maturity),
            by=by,
            second=second,
            reason=reason,
            name=name,
            since=since,
            scope=scope,
        )

    async def reset_capability(
        self, agent_id: str, capability: str, *, by: str, reason: str
    ) -> AuditEvent:
        """Set a capability back to nothing, its count included."""
        return await asyncio.to_thread(
            reset_capability, self.registry, agent_id, capability, by=by, reason=reason
        )

    async def release_skill(self, agent_id: str, skill: str, *, by: str, reason: str) -> AuditEvent:
        """Let a skill that has earned it act beyond its agent's level."""
        return await asyncio.to_thread(
            release_skill, self.registry, agent_id, skill, by=by, reason=reason
        )

    # Constitution

    async def validate_constitutional_compliance(self, episode_id: str) -> ComplianceResult:
        """Hold an episode against the rule packs and keep the result.

        Raises:
            InputError: There is no scored episode of that id.
            InternalError: The check failed for reasons nobody foresaw.
        """
        episode = await asyncio.to_thread(self.registry.episode, episode_id)
        checked = await check(self.registry, [episode], judge=self.judge)
        if episode_id not in checked:
            raise InternalError(f"the check of episode {episode_id} failed; it stays unchecked")
        return compliance_result(episode, checked[episode_id])

    # Exam

    async def run_graduation_exam(
        self,
        agent_id: str,
        edge_case_episodes: Sequence[str] | None = None,
        *,
        target_maturity: str | Level | None = None,
        scope: str | None = None,
    ) -> ExamOutcome:
        """Have an agent attempt edge cases, all of its policy's by default.

        Args:
            agent_id: Who is examined.
            edge_case_episodes: Ids of edge cases, or of the failed episodes behind them.
            target_maturity: The level the exam is for; the next one up by default.
            scope: The part of the work the level is for.

        Raises:
            InputError: A case does not exist, or nothing here can make an attempt.
        """
        within = self.registry.scope_name(agent_id, scope)
        target = await asyncio.to_thread(self.registry.target_of, agent_id, target_maturity, within)
        policy = self.registry.policy(agent_id, within)
        if edge_case_episodes is None:
            cases = (await asyncio.to_thread(pool_of, self.registry, policy, agent_id)).cases
        else:
            cases = await asyncio.to_thread(named_cases, self.registry, edge_case_episodes)
        if cases and self.examiner is None:
            raise InputError(
                "examiner",
                "is missing, so nobody can attempt the cases",
                "`grindstone.flows.exam.examiner(settings)` or a function of your own",
            )
        examiner = self.examiner or _nobody
        return exam_outcome(await examine(self.registry, agent_id, target, cases, examiner, within))

    async def add_edge_case(
        self, episode_id: str, task_dir: Path, *, added_by: str, description: str = ""
    ) -> EdgeCase:
        """Keep a recorded failure's task for exams."""
        episode = await asyncio.to_thread(self.registry.episode, episode_id)
        return await asyncio.to_thread(
            add_case, self.registry, episode, task_dir, added_by=added_by, description=description
        )

    async def retire_edge_case(self, case_id: str, *, by: str, reason: str) -> AuditEvent:
        """Take an edge case out of all exams; the trail keeps who did and why."""
        return await asyncio.to_thread(retire_case, self.registry, case_id, by=by, reason=reason)

    # Audit

    async def get_graduation_audit_trail(
        self, agent_id: str, scope: str | None = None
    ) -> dict[str, Any]:
        """Return an agent's audit trail under the documented keys, ready for `json.dump`."""
        return (await self.trail(agent_id, scope)).documented()

    async def trail(self, agent_id: str, scope: str | None = None) -> Trail:
        """Return the same as a record."""
        return await asyncio.to_thread(trail_of, self.registry, agent_id, scope)


async def _nobody(agent_id: str, cases: Sequence[EdgeCase]) -> Sequence[Episode]:
    return ()
