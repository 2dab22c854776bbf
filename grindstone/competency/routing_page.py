"""A routing decision as people read it: a sentence, the candidates, a page."""

from grindstone.competency.domains import UNKNOWN
from grindstone.competency.routing import RoutingDecision
from grindstone.report.plots import (
    Bar,
    as_markdown_image,
    bars_with_intervals,
    can_plot,
    render_svg,
)
from grindstone.report.words import table

MARKS = {"proceed": "✓ proceed", "review": "● review", "escalate": "✗ escalate"}


def decision_rows(decision: RoutingDecision) -> list[dict[str, str]]:
    """Return a row per candidate, the best first; texts, ready to be shown."""
    return [
        {
            "member": each.member_name,
            "competency": f"{each.competency:.2f}",
            "outcomes so far": str(each.evidence),
            "with exploration": f"{each.standing:.2f}",
            "chosen": "✓" if each.member_name == decision.member_name else "",
        }
        for each in decision.candidates
    ]


def decision_sentence(decision: RoutingDecision) -> str:
    """Return the decision in a sentence."""
    how = f"found by {decision.domain_method}, confidence {decision.domain_confidence:.2f}"
    if decision.domain == UNKNOWN:
        how = "no method was sure"
    return (
        f"{decision.member_name}, {decision.competency:.2f} in {decision.domain} ({how}): "
        f"{decision.policy}, {decision.model_tier} model{_level(decision)}"
    )


def _level(decision: RoutingDecision) -> str:
    where = f" in {decision.scope}" if decision.scope else ""
    return f", {decision.level}{where}" if decision.level else ""


def review_text(decision: RoutingDecision, task: str) -> str:
    """Return what a person is told before deciding on a review."""
    rows = "\n".join(
        f"- {row['member']}: {row['competency']} after {row['outcomes so far']} outcomes"
        for row in decision_rows(decision)
    )
    return (
        f"### May {decision.member_name} do this?\n\n{decision_sentence(decision)}.\n\n"
        f"{rows}\n\n> " + "\n> ".join(task.splitlines()[:30])
    )


def _plot(decision: RoutingDecision, base: float, note: bool) -> str:
    if not can_plot():
        return ""
    bars = [Bar(each.member_name, each.competency) for each in decision.candidates]
    chart = bars_with_intervals(
        bars,
        decision.why,
        value=f"competency in {decision.domain}, 0 to {base:g}",
        target=base,
        note=note,
    )
    return as_markdown_image(render_svg(chart), "members")


def decision_markdown(
    decision: RoutingDecision, *, status: str, response: str, base: float, note: bool
) -> str:
    """Return a decision's page: the task, the candidates, how it went on.

    Args:
        decision: What was decided.
        status: How it went on, where the task has no outcome.
        response: What the member answered.
        base: The scale's upper end.
        note: Whether the plot is marked as a rehearsal's.
    """
    rows = decision_rows(decision)
    outcome = {True: "✓ done", False: "✗ failed", None: status}[decision.success]
    quoted = "\n".join(f"> {line}" for line in decision.task.splitlines()[:30])
    parts = [
        f"# {decision_sentence(decision)}",
        quoted,
        f"**{MARKS[decision.policy]}** · {outcome}"
        + (f" · {decision.note}" if decision.note else ""),
        table(list(rows[0]), [list(row.values()) for row in rows]),
        _plot(decision, base, note),
    ]
    if response:
        fenced = response[:4000].replace("```", "'''")
        parts.append(f"## Response\n\n```text\n{fenced}\n```")
    return "\n\n".join(parts) + "\n"
