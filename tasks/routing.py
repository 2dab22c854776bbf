"""What routing needs around the router: members out of the ledger, and what the UI shows."""

import asyncio
from collections.abc import Sequence

from grindstone.competency.domains import UNKNOWN
from grindstone.competency.measured import estimates, measure
from grindstone.competency.members import chosen_members
from grindstone.competency.outcomes import OutcomeLog
from grindstone.competency.routing import MemberProfile, RoutingDecision
from grindstone.competency.tracker import CompetencyTracker
from grindstone.ledger import Ledger
from grindstone.records import Purpose
from grindstone.report.plots import Bar, as_markdown_image, bars_with_intervals, render_svg
from grindstone.settings import RouteSettings
from grindstone.tasks.artifacts import artifact_key, publish_markdown

MARKS = {"proceed": "✓ proceed", "review": "● review", "escalate": "✗ escalate"}


def members_of(
    ledger: Ledger, settings: RouteSettings, domains: Sequence[str]
) -> list[MemberProfile]:
    """Return the agents to choose from, each as its attempts and its routed tasks show it.

    A tracker starts from what the ledger's attempts measure, and moves with every routed task.

    Raises:
        InputError: There is no agent, one is named twice, or nobody has heard of one.
    """
    names = chosen_members(ledger, settings.member)
    table = measure(
        ledger.scan("episodes"),
        base=settings.base,
        prior_strength=settings.prior_strength,
        half_life_days=settings.half_life_days,
        leave_out=(Purpose.ROUTE,),
    )
    members = []
    for name in names:
        found = estimates(table, name, domains)
        seed = {domain: found[domain].score for domain in domains}
        tracker = CompetencyTracker(
            settings.base,
            {domain: score for domain, score in seed.items() if score is not None},
            log=OutcomeLog(ledger, name),
        )
        members.append(MemberProfile(name, tracker))
    return members


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
        f"{decision.policy}, {decision.model_tier} model"
    )


async def publish_decision(
    decision: RoutingDecision, *, status: str, response: str, base: float, note: bool
) -> None:
    """Show a routing decision: the task, the candidates, how it went on."""
    image = await asyncio.to_thread(_plot, decision, base, note)
    heads = list(decision_rows(decision)[0])
    lines = [heads, ["---"] * len(heads), *(list(row.values()) for row in decision_rows(decision))]
    outcome = {True: "✓ done", False: "✗ failed", None: status}[decision.success]
    quoted = "\n".join(f"> {line}" for line in decision.task.splitlines()[:30])
    parts = [
        f"# {decision_sentence(decision)}",
        quoted,
        f"**{MARKS[decision.policy]}** · {outcome}"
        + (f" · {decision.note}" if decision.note else ""),
        "\n".join("| " + " | ".join(line) + " |" for line in lines),
        image,
    ]
    if response:
        fenced = response[:4000].replace("```", "'''")
        parts.append(f"## Response\n\n```text\n{fenced}\n```")
    await publish_markdown(
        artifact_key("routing", decision.domain),
        "\n\n".join(parts) + "\n",
        description=decision_sentence(decision),
    )


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


def _plot(decision: RoutingDecision, base: float, rehearsal: bool) -> str:
    bars = [Bar(each.member_name, each.competency) for each in decision.candidates]
    chart = bars_with_intervals(
        bars,
        decision.why,
        value=f"competency in {decision.domain}, 0 to {base:g}",
        target=base,
        note=rehearsal,
    )
    return as_markdown_image(render_svg(chart), "members")
