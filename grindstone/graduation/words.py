"""Findings of reviews and exams as people read them."""

from grindstone.graduation.decisions.exam import CaseResult, ExamResult
from grindstone.graduation.decisions.review import Decision, Review
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.report.words import attempt_cost, table
from grindstone.text import count

NEXT = {
    "exam_due": "run the deployment exam/exam for it",
    "approval_due": "run the deployment graduate/graduate for it with `ask` on, and answer there",
    "lapsed": "run the deployment exam/exam for it",
    "proposed": "run graduate/graduate for it, or `grindstone demote`, as the reason says",
}
"""What a person does about a review's finding."""

_MARKS = {True: "✓", False: "✗", None: "⚠"}


def _named(agent_id: str, scope: str) -> str:
    return f"{agent_id} in {scope}" if scope else agent_id


def review_line(found: Review) -> str:
    """Return a review in one sentence."""
    counts: dict[str, int] = {}
    for item in found.decisions:
        counts[item.action] = counts.get(item.action, 0) + 1
    told = ", ".join(
        f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if name != "none"
    )
    agents = len({item.agent_id for item in found.decisions})
    return f"{count(agents, 'agent')} reviewed: {told or 'nothing changes'}"


def decision_line(item: Decision) -> str:
    """Return what a review concluded about an agent, in one line."""
    target = f" → {item.target.value}" if item.target else ""
    action = "" if item.action == "none" else f" [{item.action.replace('_', ' ')}]"
    who = _named(item.agent_id, item.scope)
    return f"{who}: {item.level.value}{target}, {item.score:.1f}/100{action}: {item.reason}"


def readiness_markdown(found: Readiness) -> str:
    """Return what a person is shown who is to approve a promotion."""
    parts = [
        f"## {_named(found.agent_id, found.scope)}: {found.current.value} → {found.target.value}?",
        *([f"**{found.rehearsal_note}**"] if found.rehearsal_note else []),
        found.recommendation.removesuffix(found.rehearsal_note).rstrip(),  # it ends in it
        f"Score {found.score:.1f} of 100. Interventions: {found.intervention_rate:.1%} observed, "
        f"at most {found.intervention_rate_upper:.1%} (95%).",
        "\n".join(
            f"- {'✓' if item.met else '✗'} {item.name.replace('_', ' ')}: {item.observed} "
            f"({item.required})"
            for item in found.requirements
        ),
    ]
    return "\n\n".join(parts)


def exam_line(found: ExamResult) -> str:
    """Return an exam's outcome in one line."""
    verdict = "passed" if found.passed else "not passed"
    where = f" in {found.scope}" if found.scope else ""
    return f"Exam of {found.agent_id} for {found.target.value}{where}: {verdict}; {found.reason}."


def case_line(case: CaseResult) -> str:
    """Return what came of one case."""
    return f"{_MARKS[case.passed]} {case.title}: {case.detail}"


def exam_cost(found: ExamResult) -> str:
    """Return what an exam cost, in words."""
    return attempt_cost(found.cost_usd, len(found.cases), rehearsal=found.rehearsal)


def exam_markdown(found: ExamResult) -> str:
    """Return an exam's page: what was attempted and what came of it."""
    rows = [
        [_MARKS[case.passed], case.title, case.detail, f"`{case.case_id}`"] for case in found.cases
    ]
    verdict = "passed" if found.passed else "not passed"
    parts = [
        f"# Exam of {_named(found.agent_id, found.scope)} for {found.target.value}: {verdict}",
        "> A rehearsal: the offline stand-in took it." if found.rehearsal else "",
        f"{found.reason}; cost: {exam_cost(found)}.",
        table(("", "case", "what came of it", "id"), rows) if rows else "",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
