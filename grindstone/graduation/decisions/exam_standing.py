"""Which passed exams count for a level: over all its cases, by the agent as it is, not by luck.

A promotion and the return of a lapsed level ask for the same.
"""

from typing import NamedTuple

from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.decisions.exam_pool import pool_of
from grindstone.graduation.decisions.retakes import failed_before, stated_identity
from grindstone.graduation.evidence.identity import identity_of
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy


class ExamStanding(NamedTuple):
    """How an agent's exams for a level stand."""

    wanted: int  # cases that an exam must be on
    lacking: str  # why what is left of the cases is no exam; empty where it is one
    enough: bool  # whether there are as many cases as the policy asks for
    passed: tuple[AuditEvent, ...]  # on all of the cases, by today's mark
    changed: dict[int, tuple[str, ...]]  # of those, what is another part of the agent now
    failed: dict[int, int]  # of those by the present agent, how often it had failed before
    by_merit: tuple[AuditEvent, ...]  # of those, not failed more often than is forgiven
    counted: tuple[AuditEvent, ...]  # of those, no rehearsals where the policy leaves them out

    @property
    def met(self) -> bool:
        """Whether one counts."""
        return self.enough and not self.lacking and bool(self.counted)


def exams_for(
    registry: Registry, agent: Agent, policy: Policy, target: Level, *, as_examined: bool = False
) -> ExamStanding:
    """Return how an agent's exams for a level stand since its last change of level.

    Args:
        registry: Edge cases, and what the agent is made of now.
        agent: The agent as the trail has it.
        policy: Of the scope that is meant.
        target: The level.
        as_examined: The agent runs with what it was examined with: its record may not say yet.
    """
    pool = pool_of(registry, policy, agent.agent_id)
    wanted = {case.case_id for case in pool.cases}
    passed = tuple(event for event in agent.exams if _passed(event, target, wanted, policy))
    present = identity_of(registry, agent.agent_id)
    changed = {}
    for event in passed:
        stated, now = stated_identity(event), present
        if as_examined:
            runs = {"model": stated.model, "program": stated.program}
            now = now.model_copy(update={name: each for name, each in runs.items() if each})
        changed[event.sequence] = stated.differs(now, policy.lapse_on)
    unchanged = [event for event in passed if not changed[event.sequence]]
    failed = {event.sequence: failed_before(agent.exams, event) for event in unchanged}
    by_merit = tuple(each for each in unchanged if failed[each.sequence] <= policy.exam.retakes)
    return ExamStanding(
        wanted=len(wanted),
        lacking=pool.lacking(policy, agent.agent_id),
        enough=len(wanted) >= policy.exam.min_cases,
        passed=passed,
        changed=changed,
        failed=failed,
        by_merit=by_merit,
        counted=tuple(each for each in by_merit if policy.rehearsals or not is_rehearsed(each)),
    )


def is_rehearsed(exam: AuditEvent) -> bool:
    """Whether another than the agent took an exam."""
    return exam.evidence.get("rehearsal") is True


def _passed(event: AuditEvent, target: Level, wanted: set[str], policy: Policy) -> bool:
    found = event.evidence.get("results")
    results = {
        str(each.get("case_id")): each.get("passed") is True
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    }
    if not wanted <= results.keys():
        return False
    # By today's mark, and over the cases that count alone: others do not make up for them.
    done = sum(results[name] for name in wanted)
    marked = done >= policy.exam.pass_mark * len(wanted) - 1e-9
    return marked and event.evidence.get("passed") is True and event.to_level is target
