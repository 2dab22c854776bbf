"""How often an exam was failed by the very agent that passed it in the end.

Who may sit an exam until luck passes it passes it sooner or later. A failed one is forgiven as
often as the policy says (`exam.retakes`); after that the agent must be another: have learned
something, or run with another model or program. What is not known of it is no change. An
unfinished exam was not failed, unless what failed in it rules the mark out.
"""

from collections.abc import Sequence

from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.evidence.identity import AgentIdentity


def stated_identity(event: AuditEvent) -> AgentIdentity:
    """Return the agent an event speaks of; all unknown where it does not say."""
    found = event.evidence.get("agent")
    return AgentIdentity.model_validate(found) if isinstance(found, dict) else AgentIdentity()


def failed_before(exams: Sequence[AuditEvent], passed: AuditEvent) -> int:
    """Return how many exams for the same level the very same agent had failed before one."""
    return sum(
        each.sequence < passed.sequence
        and each.to_level is passed.to_level
        and each.evidence.get("passed") is False
        and _failed(each)
        and _very_same(stated_identity(each), stated_identity(passed))
        for each in exams
    )


def _failed(exam: AuditEvent) -> bool:
    told = exam.evidence.get("failed")
    if isinstance(told, bool):
        return told
    results = exam.evidence.get("results")  # the first events do not tell it
    return (
        isinstance(results, list)
        and bool(results)
        and all(isinstance(each, dict) and each.get("passed") is not None for each in results)
    )


def _very_same(one: AgentIdentity, other: AgentIdentity) -> bool:
    return not one.differs(other, ("model", "program", "workspace_tree"))
