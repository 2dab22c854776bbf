"""The exam: an agent really attempts edge cases on which others failed.

How an attempt is made is the caller's: a flow, or in this process. Without cases there is
nothing to pass, and infrastructure that gave way leaves the exam unfinished, not failed
and not passed.
"""

from collections.abc import Awaitable, Callable, Sequence

from grindstone.base import Frozen
from grindstone.errors import InfrastructureError, InputError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.decisions.edge_cases import EdgeCase, case_task
from grindstone.graduation.decisions.exam_pool import (
    ExamPool,
    distinct,
    pool_of,
    untrained,
    why_no_case,
)
from grindstone.graduation.decisions.lapse import restoring
from grindstone.graduation.evidence.identity import AgentIdentity, identity_of, program_of
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy, is_rehearsal
from grindstone.records import Episode
from grindstone.report.model import IncidentLine

Examiner = Callable[[str, Sequence[EdgeCase]], Awaitable[Sequence["Episode | InfrastructureError"]]]
"""Has an agent attempt cases; one episode, or what kept it from one, per case in order."""


class CaseResult(Frozen):
    """What came of one case."""

    case_id: str
    title: str
    passed: bool | None  # None: infrastructure gave way
    score: float | None = None
    episode_id: str = ""
    detail: str = ""


class ExamResult(Frozen):
    """What came of an exam."""

    agent_id: str
    target: Level
    scope: str = ""  # the part of the work; empty: all of it
    passed: bool
    failed: bool = False  # neither: it is unfinished, or there was nothing to attempt
    score: float  # 0 to 100: the share of cases passed
    cases: tuple[CaseResult, ...]
    cost_usd: float | None  # None: a price is unknown
    reason: str
    workspace_tree: str = ""
    rehearsal: bool = False
    incidents: tuple[IncidentLine, ...] = ()
    """What was lost to errors that nobody foresaw."""


async def examine(
    registry: Registry,
    agent_id: str,
    target: Level,
    cases: Sequence[EdgeCase],
    examiner: Examiner,
    scope: str | None = None,
) -> ExamResult:
    """Have an agent attempt cases and keep the result in the audit trail.

    Args:
        registry: Policies, cases, audit trail.
        agent_id: Who is examined.
        target: The level the exam is for.
        cases: What is to be attempted.
        examiner: Makes the attempts.
        scope: The part of the work the level is for; None: the one the policy gives levels in.

    Raises:
        InputError: The agent was trained on a case, a case was changed, or what is left of the
            policy's cases is no exam.
    """
    within = registry.scope_name(agent_id, scope)
    policy = registry.policy(agent_id, within)
    for case in cases:
        case_task(registry.home, case)  # whole, or nobody is examined on it
    fresh = untrained(registry, policy, agent_id, cases)
    known = [case.case_id for case in cases if case not in fresh]
    if known:
        raise InputError(
            f"exam of {agent_id}",
            f"{', '.join(known)}: the agent was trained on that task",
            "edge cases it never trained on, or a policy with exam.untrained: false",
        )
    pool = pool_of(registry, policy, agent_id)
    if lost := pool.lacking(policy, agent_id):
        raise InputError(f"exam of {agent_id}", lost, "all the edge cases that were added")
    cases = distinct(registry, cases)  # one is no two
    episodes = list(await examiner(agent_id, cases)) if cases else []
    _refuse_others(agent_id, cases, episodes)
    results = tuple(_result(case, episode) for case, episode in zip(cases, episodes, strict=True))
    lacking = "" if cases else why_no_case(registry, policy, pool, agent_id)
    result = _verdict(agent_id, target, policy, results, episodes, lacking)
    if cases and (told := pool.told(agent_id)):
        result = result.model_copy(update={"reason": f"{result.reason}; {told}"})
    made = [each for each in episodes if isinstance(each, Episode)]
    identity = identity_of(
        registry,
        agent_id,
        model=_only({each.model for each in made if each.model}),
        program=_only({program_of(each.profile) for each in made} - {""}),
    )
    tree = identity.workspace_tree or result.workspace_tree  # the workspace may be elsewhere
    identity = identity.model_copy(update={"workspace_tree": tree})
    registry.chain.append(lambda events: _event(registry, events, policy, result, identity, pool))
    registry.chain.append(lambda events: restoring(registry, events, agent_id, within))
    return result


def _refuse_others(
    agent_id: str,
    cases: Sequence[EdgeCase],
    episodes: Sequence["Episode | InfrastructureError"],
) -> None:
    """Refuse what an examiner of somebody's own passes off as attempts.

    Raises:
        InputError: There is not one attempt of the agent at each case.
    """
    if len(episodes) != len(cases):
        said = f"gave {len(episodes)} attempts for {len(cases)} cases"
        raise InputError("examiner", said, "one for each case, in order")
    made = [each for each in episodes if isinstance(each, Episode)]
    if len({each.episode_id for each in made}) < len(made):
        raise InputError("examiner", "gave one attempt for several cases", "one for each case")
    for case, each in zip(cases, episodes, strict=True):
        if not isinstance(each, Episode):
            continue
        task = (each.task_id, each.task_digest or case.task_digest)
        if each.agent_id != agent_id or task != (case.task_id, case.task_digest):
            raise InputError(
                "examiner",
                f"gave an attempt of {each.agent_id} at {each.task_id} for {case.case_id}",
                f"one of {agent_id} at {case.task_id}",
            )


def _only(found: set[str]) -> str:
    return min(found) if len(found) == 1 else ""


def _result(case: EdgeCase, episode: Episode | InfrastructureError) -> CaseResult:
    if isinstance(episode, InfrastructureError):
        return CaseResult(
            case_id=case.case_id, title=case.title, passed=None, detail=str(episode)[:500]
        )
    return CaseResult(
        case_id=case.case_id,
        title=case.title,
        passed=episode.passed,
        score=episode.score,
        episode_id=episode.episode_id,
        detail=episode.error_detail
        or f"{episode.tests_passed} of {episode.tests_total} tests passed",
    )


def _verdict(
    agent_id: str,
    target: Level,
    policy: Policy,
    results: tuple[CaseResult, ...],
    episodes: Sequence[Episode | InfrastructureError],
    lacking: str,
) -> ExamResult:
    scored = [each for each in episodes if isinstance(each, Episode)]
    costs = [each.cost_usd for each in scored]
    known = [cost for cost in costs if cost is not None]
    done = sum(each.passed is True for each in results)
    share = done / len(results) if results else 0.0
    unfinished = sum(each.passed is None for each in results)
    enough = len(results) >= policy.exam.min_cases
    mark = policy.exam.pass_mark - 1e-9
    failed = bool(results) and (done + unfinished) / len(results) < mark  # whatever the rest does
    passed = enough and not unfinished and share >= mark
    if not results:
        reason = f"{lacking}; without cases no exam is passed"
    elif unfinished and failed:
        reason = (
            f"{len(results) - done - unfinished} of {len(results)} cases failed, which rules out "
            f"the mark of {policy.exam.pass_mark:.0%}; {unfinished} could not be run"
        )
    elif unfinished:
        reason = f"{unfinished} of {len(results)} cases could not be run; the exam is unfinished"
    elif not enough:
        reason = f"{len(results)} cases are too few; the policy asks for {policy.exam.min_cases}"
    else:
        reason = f"{done} of {len(results)} cases passed; the mark is {policy.exam.pass_mark:.0%}"
    return ExamResult(
        agent_id=agent_id,
        target=target,
        scope=policy.holds_in,
        passed=passed,
        failed=failed,
        score=share * 100,
        cases=results,
        cost_usd=sum(known) if len(known) == len(costs) else None,
        reason=reason,
        workspace_tree=scored[0].workspace_tree if scored else "",
        rehearsal=any(is_rehearsal(each) for each in scored),
    )


def _event(
    registry: Registry,
    events: tuple[AuditEvent, ...],
    policy: Policy,
    result: ExamResult,
    identity: AgentIdentity,
    pool: ExamPool,
) -> EventDraft:
    return EventDraft(
        kind=EventKind.EXAMINED,
        agent_id=result.agent_id,
        from_level=agent_of(events, result.agent_id, policy.holds_in).level,
        to_level=result.target,
        scope=policy.holds_in,
        by="grindstone",
        reason=result.reason,
        policy=policy.name,
        policy_digest=policy.digest,
        evidence={
            "passed": result.passed,
            "failed": result.failed,
            "score": result.score,
            "cases": [case.case_id for case in result.cases],
            "trained_on": list(pool.trained_on),
            "results": [case.model_dump(mode="json") for case in result.cases],
            "cost_usd": result.cost_usd,
            "workspace_tree": result.workspace_tree,
            "rehearsal": result.rehearsal,
            "agent": identity.model_dump(mode="json"),
        },
        at=registry.clock(),
    )
