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
from grindstone.graduation.decisions.after_episode import follow_up
from grindstone.graduation.decisions.by_hand import release_skill, reset_capability
from grindstone.graduation.decisions.edge_cases import EdgeCase, add_case, load_case
from grindstone.graduation.decisions.enrolment import enrol
from grindstone.graduation.decisions.exam import Examiner, cases_for, examine
from grindstone.graduation.decisions.promotion import answer, demote, promote
from grindstone.graduation.decisions.review import Review, review, unchecked_episodes
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.evidence.skill_levels import SkillLevels, own_levels
from grindstone.graduation.intake.importing import ImportReport, import_file
from grindstone.graduation.intake.record import as_work, correct, rate, record
from grindstone.graduation.intake.recording import Edit, Rating, Work, work_of_session
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
from grindstone.records import Episode, Purpose, utc_now


class GraduationService:
    """Who may act alone, computed from the ledger and changed only through the audit trail.

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
        scope: Scope | None = None,
    ) -> ReadinessResult:
        """Return score, gaps and recommendation for a level, the next one up by default."""
        return readiness_result(await self.assess(agent_id, target_maturity, scope=scope))

    async def assess(
        self,
        agent_id: str,
        target_maturity: str | Level | None = None,
        *,
        scope: Scope | None = None,
    ) -> Readiness:
        """Return the same as a record."""

        def work() -> Readiness:
            target = self.registry.target_of(agent_id, target_maturity)
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
        self, agent_id: str, new_maturity: str | Level, validated_by: str
    ) -> LevelChange:
        """Raise an agent's level by one.

        Raises:
            RefusedError: It is not ready, not examined, not approved, or the level is not
                the next one up; the message lists all that is missing.
        """
        return level_change(await self.promoted(agent_id, new_maturity, validated_by))

    async def promoted(
        self, agent_id: str, new_maturity: str | Level, validated_by: str
    ) -> AuditEvent:
        """Do the same, and return what the audit trail has of it."""
        target = Level.parse(new_maturity, "new_maturity")
        return await asyncio.to_thread(
            promote, self.registry, agent_id, target, validated_by=validated_by
        )

    async def demote_agent(
        self, agent_id: str, new_maturity: str | Level, by: str, reason: str
    ) -> LevelChange:
        """Lower an agent's level."""
        target = Level.parse(new_maturity, "new_maturity")
        return level_change(
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
        signature: str = "",
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

    # The record; each episode is checked at once

    async def record_episode(self, **work: Any) -> Episode:
        """Keep one piece of live work and check it at once; fields as in `Work`.

        Raises:
            InputError: A field is missing or wrong.
        """
        return await self.record_work(as_work(work))

    async def record_work(self, work: Work, *, purpose: Purpose = Purpose.ROUTE) -> Episode:
        """Keep one piece of live work and check it at once.

        Returns:
            The episode with all its corrections counted; the ledger counts the detailed ones in
            a table of their own.
        """
        episode = await asyncio.to_thread(record, self.registry, work, purpose=purpose)
        await self.after_episode(episode)
        corrected = episode.human_intervention_count + len(work.human_edits)
        return episode.model_copy(update={"human_intervention_count": corrected})

    async def create_episode_from_session(
        self, session_id: str, agent_id: str, title: str
    ) -> Episode:
        """Make an episode of a session that `log_session` wrote, and check it at once.

        Raises:
            InputError: There is no such session, or it has not ended.
        """
        work = await asyncio.to_thread(
            work_of_session, self.registry.home, session_id, agent_id=agent_id, title=title
        )
        return await self.record_work(work)

    async def after_episode(self, episode: Episode) -> tuple[str, ...]:
        """Check an episode against the constitution and note what its agent earned or lost.

        An agent that no longer holds its level loses it at once, or its policy has it proposed.

        Returns:
            One sentence per change.
        """
        await check(self.registry, [episode], judge=self.judge)
        return await asyncio.to_thread(self._followed_up, episode)

    def _followed_up(self, episode: Episode) -> tuple[str, ...]:
        levels = own_levels(self.registry, episode.agent_id)
        return tuple(event.reason for event in follow_up(self.registry, episode, levels))

    async def record_intervention(
        self,
        episode_id: str,
        *,
        field: str,
        original: str = "",
        correction: str = "",
        reason: str = "",
        corrected_by: str = "",
        timestamp: datetime | None = None,
    ) -> None:
        """Keep one correction of an episode."""
        edit = Edit(
            field=field,
            original=original,
            correction=correction,
            reason=reason,
            corrected_by=corrected_by,
            timestamp=timestamp,
        )
        episode = await asyncio.to_thread(correct, self.registry, episode_id, edit)
        await asyncio.to_thread(self._followed_up, episode)

    async def rate_episode(
        self, episode_id: str, *, stars: float, rated_by: str, comment: str = ""
    ) -> None:
        """Keep a person's rating of an episode, in stars of five."""
        rating = Rating(rated_by=rated_by, stars=stars, comment=comment)
        await asyncio.to_thread(rate, self.registry, episode_id, rating)

    async def import_episodes(self, path: Path, *, by: str) -> ImportReport:
        """Take over another system's episodes, all of a file or none, and check them."""
        report = await asyncio.to_thread(import_file, self.registry, path, by=by)
        if report.accepted:
            agents = list(report.agents)
            while rest := await asyncio.to_thread(
                unchecked_episodes, self.registry, agents, judged=self.judge is not None
            ):
                await check(self.registry, rest, judge=self.judge)
        return report

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
    ) -> ExamOutcome:
        """Have an agent attempt edge cases, all of its policy's by default.

        Args:
            agent_id: Who is examined.
            edge_case_episodes: Ids of edge cases, or of the failed episodes behind them.
            target_maturity: The level the exam is for; the next one up by default.

        Raises:
            InputError: A case does not exist, or nothing here can make an attempt.
        """
        target = await asyncio.to_thread(self.registry.target_of, agent_id, target_maturity)
        policy = self.registry.policy(agent_id)
        if edge_case_episodes is None:
            cases = await asyncio.to_thread(cases_for, self.registry, policy, agent_id)
        else:
            cases = tuple(load_case(self.registry.home, each) for each in edge_case_episodes)
        if cases and self.examiner is None:
            raise InputError(
                "examiner",
                "is missing, so nobody can attempt the cases",
                "`grindstone.flows.exam.examiner(settings)` or a function of your own",
            )
        examiner = self.examiner or _nobody
        return exam_outcome(await examine(self.registry, agent_id, target, cases, examiner))

    async def add_edge_case(
        self, episode_id: str, task_dir: Path, *, added_by: str, description: str = ""
    ) -> EdgeCase:
        """Keep a recorded failure's task for exams."""
        episode = await asyncio.to_thread(self.registry.episode, episode_id)
        return await asyncio.to_thread(
            add_case, self.registry, episode, task_dir, added_by=added_by, description=description
        )

    # Audit

    async def get_graduation_audit_trail(self, agent_id: str) -> dict[str, Any]:
        """Return an agent's audit trail under the documented keys, ready for `json.dump`."""
        return (await self.trail(agent_id)).documented()

    async def trail(self, agent_id: str) -> Trail:
        """Return the same as a record."""
        return await asyncio.to_thread(trail_of, self.registry, agent_id)


async def _nobody(agent_id: str, cases: Sequence[EdgeCase]) -> Sequence[Episode]:
    return ()
