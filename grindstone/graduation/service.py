"""`GraduationService`: the documented methods over a home's ledger and audit trail."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from grindstone.errors import InputError, InternalError
from grindstone.graduation.audit.trail import Trail, trail_of
from grindstone.graduation.constitution.checking import check, overall
from grindstone.graduation.constitution.pack import Pack
from grindstone.graduation.decisions.edge_cases import EdgeCase, add_case, load_case
from grindstone.graduation.decisions.exam import Examiner, cases_for, examine
from grindstone.graduation.decisions.review import Review, review
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.evidence.skill_levels import SkillLevels, own_levels
from grindstone.graduation.registry import open_desk
from grindstone.graduation.results import (
    ComplianceResult,
    ExamOutcome,
    ReadinessResult,
    exam_outcome,
    readiness_result,
    violation_result,
)
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy
from grindstone.graduation.rules.scope import Scope
from grindstone.graduation.served_levels import ServedLevels
from grindstone.graduation.served_record import ServedRecord
from grindstone.graduation.served_sync import SyncGraduationService
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.llm.messages import Model
from grindstone.records import Episode, utc_now


class GraduationService(ServedLevels, ServedRecord):
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
        results = checked[episode_id]
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
