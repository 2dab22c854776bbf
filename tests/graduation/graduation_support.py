"""Work to put into a home, a clock for it, and attempts without a sandbox."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import AuditEvent, EventKind
from grindstone.graduation.decisions.edge_cases import EdgeCase
from grindstone.graduation.decisions.exam import Examiner
from grindstone.ledger import Ledger
from grindstone.records import Episode, Outcome, Purpose

START = datetime(2026, 1, 5, 8, tzinfo=UTC)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def passing(outcome: Outcome = Outcome.PASSED) -> Examiner:
    """Attempts as a flow would return them, without a sandbox."""

    async def attempt(agent_id: str, cases: Sequence[EdgeCase]) -> list[Episode]:
        return [
            Episode(
                episode_id=f"exam-{case.case_id}",
                run_key="exam",
                agent_id=agent_id,
                purpose=Purpose.EXAM,
                task_id=case.task_id,
                outcome=outcome,
                score=float(outcome is Outcome.PASSED),
                cost_usd=0.01,
                started_at=START,
                ended_at=START,
            )
            for case in cases
        ]

    return attempt


def work(number: int, **more: Any) -> dict[str, Any]:
    """One clean, fully rated piece of work, the `number`th."""
    return {
        "agent_id": "ada",
        "episode_id": f"ep-{number}",
        "title": f"Work {number}",
        "success": True,
        "started_at": START + timedelta(minutes=number),
        "confidence": 1.0,
        "skills": [f"skill-{number % 20}"],
        "ratings": [{"rated_by": "Grace", "stars": 5}],
        "actions": [{"tool": "present", "text": "Here it is."}],
        "verified_by": "Grace",
    } | more


async def fill(service: GraduationService, count: int, *, first: int = 0, **more: Any) -> None:
    """Record several pieces of work in one go, and check them."""
    from grindstone.graduation.constitution.checking import check
    from grindstone.graduation.intake.recording import Work, keep, rows_for

    items = [Work.model_validate(work(first + i, **more)) for i in range(count)]
    run_key = f"fill-{first}-{count}-{items[0].agent_id if items else ''}"
    registry = service.registry
    rows = [
        rows_for(registry, item, run_key=run_key, purpose=Purpose.ROUTE, now=START)
        for item in items
    ]
    keep(registry, rows, run_key=run_key)
    await check(registry, [item.episode for item in rows])


def in_ledger(home: Path, **more: Any) -> Any:
    """Exam attempts as a run keeps them: in the ledger."""
    plain = passing()

    async def attempt(agent_id: str, cases: Any) -> list[Episode]:
        found = [each.model_copy(update=more) for each in await plain(agent_id, cases)]
        Ledger(home).append(found, run_key="exam")
        return found

    return attempt


async def promote_ada(service: GraduationService, edge_task: Path) -> None:
    """Have her work, sit an exam on what bob failed at, and become an INTERN by a person's word."""
    await fill(service, 11)
    await service.record_episode(
        **work(11, human_edits=[{"field": "rate", "corrected_by": "Grace", "reason": "exempt"}])
    )
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    await service.run_graduation_exam("ada")
    await service.promote_agent("ada", "INTERN", "Grace")


def promotion(service: GraduationService) -> AuditEvent:
    return next(
        event for event in service.registry.chain.events() if event.kind is EventKind.PROMOTED
    )
