"""`GraduationService`: the documented methods over a home's ledger and audit trail."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, Draft, EventKind
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.audit.trail import Trail, trail_of
from grindstone.graduation.cases import EdgeCase, add_case, load_case
from grindstone.graduation.checking import check, overall
from grindstone.graduation.constitution.pack import Pack
from grindstone.graduation.demoting import demote_if_due
from grindstone.graduation.desk import open_desk
from grindstone.graduation.exam import Examiner, cases_for, examine
from grindstone.graduation.importing import ImportReport, import_file
from grindstone.graduation.levels import Level
from grindstone.graduation.own_levels import OwnLevels, note_changes, own_levels
from grindstone.graduation.policy import Policy
from grindstone.graduation.promoting import answer, demote, named_human, promote
from grindstone.graduation.readiness import Readiness
from grindstone.graduation.recording import (
    Edit,
    Rating,
    Work,
    edit_row,
    keep,
    live_run,
    rating_row,
    rows_for,
    work_of_session,
)
from grindstone.graduation.results import (
    ComplianceResult,
    ExamOutcome,
    LevelChange,
    ReadinessResult,
    exam_outcome,
    readiness_result,
    violation_result,
)
from grindstone.graduation.reviewing import Review, review
from grindstone.graduation.scope import Scope
from grindstone.ledger import Ledger
from grindstone.llm.messages import Model
from grindstone.records import Episode, Purpose, utc_now

T = TypeVar("T")


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
        home: Path | str | Ledger,
        *,
        policies: Sequence[Policy] | Path | None = None,
        constitution: Mapping[str, Pack] | Path | None = None,
        examiner: Examiner | None = None,
        judge: Model | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.desk = open_desk(home, policies=policies, constitution=constitution, clock=clock)
        self.examiner = examiner
        self.judge = judge

    @property
    def sync(self) -> "SyncGraduationService":
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
            target = self.desk.target_of(agent_id, target_maturity)
            return self.desk.readiness(agent_id, target, scope=scope)

        return await asyncio.to_thread(work)

    async def own_levels(self, agent_id: str) -> OwnLevels:
        """Return where an agent's skills and capabilities stand."""
        return await asyncio.to_thread(own_levels, self.desk, agent_id)

    async def review(self, agent_ids: Sequence[str] = ()) -> Review:
        """Look at all agents, or some, and do what their policies say."""
        return await review(self.desk, agent_ids, judge=self.judge)

    # Constitution

    async def validate_constitutional_compliance(self, episode_id: str) -> ComplianceResult:
        """Hold an episode against the rule packs and keep the result.

        Raises:
            InputError: There is no scored episode of that id.
        """
        episode = await asyncio.to_thread(self.desk.episode, episode_id)
        results = (await check(self.desk, [episode], judge=self.judge))[episode_id]
        score = overall(results, episode.constitutional_score)
        broken = [violation_result(each.pack, item) for each in results for item in each.violations]
        return ComplianceResult(
            compliant=score is not None and not broken and score > 0.0,
            score=score,
            violations=broken,
            episode_id=episode_id,
            packs=[
                {
                    "pack": each.pack,
                    "score": each.score,
                    "rules_applied": each.rules_applied,
                    "note": each.note,
                }
                for each in results
            ],
        )

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
        target = await asyncio.to_thread(self.desk.target_of, agent_id, target_maturity)
        policy = self.desk.policy(agent_id)
        if edge_case_episodes is None:
            cases = cases_for(self.desk, policy)
        else:
            cases = tuple(load_case(self.desk.home, each) for each in edge_case_episodes)
        if cases and self.examiner is None:
            raise InputError(
                "examiner",
                "is missing, so nobody can attempt the cases",
                "`flows.exam.examiner(settings)` or a function of your own",
            )
        examiner = self.examiner or _nobody
        return exam_outcome(await examine(self.desk, agent_id, target, cases, examiner))

    async def add_edge_case(
        self, episode_id: str, task_dir: Path, *, added_by: str, description: str = ""
    ) -> EdgeCase:
        """Keep a recorded failure's task for exams."""
        episode = await asyncio.to_thread(self.desk.episode, episode_id)
        return await asyncio.to_thread(
            add_case, self.desk, episode, task_dir, added_by=added_by, description=description
        )

    # Levels

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
            await asyncio.to_thread(promote, self.desk, agent_id, target, validated_by=validated_by)
        )

    async def demote_agent(
        self, agent_id: str, new_maturity: str | Level, by: str, reason: str
    ) -> LevelChange:
        """Lower an agent's level."""
        target = Level.parse(new_maturity, "new_maturity")
        return _change(
            await asyncio.to_thread(demote, self.desk, agent_id, target, by=by, reason=reason)
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
            self.desk,
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

        def decide(events: tuple[AuditEvent, ...]) -> Draft:
            if agent_of(events, agent_id).changes:
                raise InputError(agent_id, "has a level already", "an agent not known so far")
            return Draft(
                kind=EventKind.ENROLLED,
                agent_id=agent_id,
                to_level=level,
                by=human,
                reason=reason,
                evidence={"name": name} if name else {},
                at=self.desk.clock(),
                effective_at=since,
            )

        event = await asyncio.to_thread(self.desk.chain.append, decide)
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
        draft = Draft(
            kind=kind,
            agent_id=agent_id,
            subject=subject,
            by=named_human(by),
            reason=reason,
            at=self.desk.clock(),
        )
        event = await asyncio.to_thread(self.desk.chain.append, lambda _: draft)
        assert event is not None
        return event

    async def get_graduation_audit_trail(self, agent_id: str) -> dict[str, Any]:
        """Return an agent's audit trail under the documented keys, ready for `json.dump`."""
        return (await self.trail(agent_id)).documented()

    async def trail(self, agent_id: str) -> Trail:
        """Return the same as a record."""
        return await asyncio.to_thread(trail_of, self.desk, agent_id)

    # The record

    async def record_episode(self, **work: Any) -> Episode:
        """Keep one piece of live work and check it at once; fields as in `Work`.

        Raises:
            InputError: A field is missing or wrong.
        """
        try:
            found = Work.model_validate(work)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"episode: {where}", first["msg"], "a field of Work") from error
        return await self.record_work(found)

    async def record_work(self, work: Work, *, purpose: Purpose = Purpose.ROUTE) -> Episode:
        """Keep one piece of live work and check it at once."""
        run_key = live_run(work.agent_id, work.started_at)
        recorded = await asyncio.to_thread(
            rows_for, self.desk, work, run_key=run_key, purpose=purpose, now=self.desk.clock()
        )
        await asyncio.to_thread(keep, self.desk, [recorded], run_key=run_key)
        await self.after_episode(recorded.episode)
        return recorded.episode

    async def create_episode_from_session(
        self, session_id: str, agent_id: str, title: str
    ) -> Episode:
        """Make an episode of a session that `log_session` wrote, and check it at once.

        Raises:
            InputError: There is no such session, or it has not ended.
        """
        work = await asyncio.to_thread(
            work_of_session, self.desk.home, session_id, agent_id=agent_id, title=title
        )
        return await self.record_work(work)

    async def after_episode(self, episode: Episode) -> tuple[str, ...]:
        """Check an episode against the constitution and note what its agent earned or lost.

        An agent that no longer holds its level loses it at once, or its policy has it proposed.

        Returns:
            One sentence per change.
        """
        await check(self.desk, [episode], judge=self.judge)
        return await asyncio.to_thread(self._consequences, episode)

    def _consequences(self, episode: Episode) -> tuple[str, ...]:
        agent_id, known = episode.agent_id, len(self.desk.chain.events())
        note_changes(self.desk, own_levels(self.desk, agent_id))
        if episode.purpose in self.desk.policy(agent_id).demotion.purposes:
            demote_if_due(self.desk, self.desk.agent(agent_id))
        since = self.desk.chain.events()[known:]
        return tuple(event.reason for event in since if event.agent_id == agent_id)

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

        def work() -> Episode:
            episode = self.desk.episode(episode_id)
            row = edit_row(episode, edit, now=self.desk.clock())
            self.desk.ledger.append([row], run_key=episode.run_key)
            return episode

        episode = await asyncio.to_thread(work)
        await asyncio.to_thread(self._consequences, episode)

    async def rate_episode(
        self, episode_id: str, *, stars: float, rated_by: str, comment: str = ""
    ) -> None:
        """Keep a person's rating of an episode, in stars of five."""
        rating = Rating(rated_by=rated_by, stars=stars, comment=comment)

        def work() -> None:
            episode = self.desk.episode(episode_id)
            row = rating_row(episode, rating, now=self.desk.clock())
            self.desk.ledger.append([row], run_key=episode.run_key)

        await asyncio.to_thread(work)

    async def import_episodes(self, path: Path, *, by: str) -> ImportReport:
        """Take over another system's episodes, all of a file or none, and check them."""
        report = await asyncio.to_thread(import_file, self.desk, path, by=by)
        if report.accepted:
            from grindstone.graduation.reviewing import unchecked_episodes  # noqa: PLC0415

            while rest := await asyncio.to_thread(
                unchecked_episodes, self.desk, list(report.agents)
            ):
                await check(self.desk, rest, judge=self.judge)
        return report


class SyncGraduationService:
    """`GraduationService` without await: each method runs its coroutine to the end.

    Raises:
        RuntimeError: From within a running event loop, where the service itself is for.
    """

    def __init__(self, service: GraduationService) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of that name, made to wait."""
        method = getattr(self._service, name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(method):
            raise AttributeError(f"{type(self._service).__name__} awaits no method {name!r}")

        def run(*args: Any, **kwargs: Any) -> Any:
            return _run(method(*args, **kwargs))

        run.__doc__ = method.__doc__
        return run


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


async def _nobody(agent_id: str, cases: Sequence[EdgeCase]) -> Sequence[Episode]:
    return ()


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
