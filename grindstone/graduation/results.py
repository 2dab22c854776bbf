"""The documented results, as plain dictionaries with the documented keys."""

from collections.abc import Sequence
from typing import Any, TypedDict

from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.constitution.checking import overall
from grindstone.graduation.constitution.evaluate import Compliance
from grindstone.graduation.decisions.exam import ExamResult
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.records import Episode


class ReadinessResult(TypedDict):
    """What `calculate_readiness_score` returns."""

    agent_id: str
    current_maturity: str
    target_maturity: str
    scope: str  # the part of the work the level is for; empty: all of it
    policy: str
    ready: bool
    score: float  # 0 to 100, to one decimal; the components are unrounded
    gaps: list[str]
    recommendation: str
    components: list[dict[str, Any]]
    requirements: list[dict[str, Any]]
    weakest_component: str
    episode_count: int
    rehearsal_count: int  # in scope; they count where the policy says so
    intervention_rate: float
    intervention_rate_upper_bound: float
    interventions_per_episode: float
    avg_constitutional_score: float | None


class ExamOutcome(TypedDict):
    """What `run_graduation_exam` returns."""

    agent_id: str
    target_maturity: str
    scope: str
    passed: bool
    score: float
    reason: str
    cases: list[dict[str, Any]]
    cost_usd: float | None
    rehearsal: bool


class ComplianceResult(TypedDict):
    """What `validate_constitutional_compliance` returns."""

    compliant: bool
    score: float | None  # None: a rule could not be decided
    violations: list[dict[str, Any]]
    episode_id: str
    packs: list[dict[str, Any]]


class LevelChange(TypedDict):
    """What `promote_agent` and `demote_agent` return."""

    agent_id: str
    previous_maturity: str
    new_maturity: str
    scope: str
    validated_by: str
    event: int
    digest: str
    at: str


def readiness_result(found: Readiness) -> ReadinessResult:
    """Return a readiness under the documented keys."""
    return ReadinessResult(
        agent_id=found.agent_id,
        current_maturity=found.current.value,
        target_maturity=found.target.value,
        scope=found.scope,
        policy=found.policy,
        ready=found.ready,
        score=round(found.score, 1),
        gaps=list(found.gaps),
        recommendation=found.recommendation,
        components=[item.model_dump(mode="json") for item in found.components],
        requirements=[item.model_dump(mode="json") for item in found.requirements],
        weakest_component=found.weakest,
        episode_count=found.record.episodes,
        rehearsal_count=found.record.rehearsals,
        intervention_rate=found.intervention_rate,
        intervention_rate_upper_bound=found.intervention_rate_upper,
        interventions_per_episode=found.interventions_per_episode,
        avg_constitutional_score=found.record.constitutional_score,
    )


def exam_outcome(found: ExamResult) -> ExamOutcome:
    """Return an exam's result under the documented keys."""
    return ExamOutcome(
        agent_id=found.agent_id,
        target_maturity=found.target.value,
        scope=found.scope,
        passed=found.passed,
        score=round(found.score, 1),
        reason=found.reason,
        cases=[case.model_dump(mode="json") for case in found.cases],
        cost_usd=found.cost_usd,
        rehearsal=found.rehearsal,
    )


def compliance_result(episode: Episode, results: Sequence[Compliance]) -> ComplianceResult:
    """Return how an episode stands against its packs under the documented keys."""
    score = overall(results, episode.constitutional_score)
    broken = [
        {"pack": each.pack, **found.model_dump(mode="json")}
        for each in results
        for found in each.violations
    ]
    return ComplianceResult(
        compliant=score is not None and not broken and score > 0.0,
        score=score,
        violations=broken,
        episode_id=episode.episode_id,
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


def level_change(event: AuditEvent) -> LevelChange:
    """Return an event that changed an agent's level under the documented keys."""
    return LevelChange(
        agent_id=event.agent_id,
        previous_maturity=event.from_level.value if event.from_level else "",
        new_maturity=event.to_level.value if event.to_level else "",
        scope=event.scope,
        validated_by=event.by,
        event=event.sequence,
        digest=event.digest,
        at=event.at.isoformat(),
    )
