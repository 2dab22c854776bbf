"""What the Prefect UI shows of competency, routing and graduation."""

import asyncio

from grindstone.competency.jobs import TrainingJobs
from grindstone.competency.routing import RoutingDecision
from grindstone.competency.routing_page import decision_markdown, decision_sentence
from grindstone.competency.scoring import Scoring
from grindstone.competency.scoring_page import (
    headline,
    scoring_markdown,
    scoring_plots,
    table_rows,
)
from grindstone.files import write_atomic
from grindstone.graduation.audit.trail import Trail, to_markdown, trail_plots
from grindstone.graduation.decisions.exam import ExamResult
from grindstone.graduation.decisions.review import Review
from grindstone.graduation.evidence.readiness import NAMES
from grindstone.graduation.words import NEXT, exam_markdown, review_line
from grindstone.ledger.tables.autonomy import CompetencyRow
from grindstone.report.plots import as_markdown_image
from grindstone.runs.incidents import spared
from grindstone.runs.row import is_rehearsal
from grindstone.settings import CompetencySettings
from grindstone.tasks.artifacts import artifact_key, artifact_link, publish_markdown, publish_table
from grindstone.tasks.runtime import Runtime


async def publish_decision(
    decision: RoutingDecision, *, status: str, response: str, base: float, note: bool
) -> None:
    """Show a routing decision; see `decision_markdown`."""
    page = await asyncio.to_thread(
        decision_markdown, decision, status=status, response=response, base=base, note=note
    )
    await publish_markdown(
        artifact_key("routing", decision.domain), page, description=decision_sentence(decision)
    )


async def publish_scored(runtime: Runtime, scored: Scoring, settings: CompetencySettings) -> None:
    """Show a scoring: domains with their intervals, the index over time, the priorities."""
    with spared("what is shown of the scoring"):
        await _publish_scored(runtime, scored, settings)


async def _publish_scored(runtime: Runtime, scored: Scoring, settings: CompetencySettings) -> None:
    images = await asyncio.to_thread(_images, runtime, scored, settings)
    jobs = TrainingJobs(runtime.home, runtime.agent_id)
    history = await asyncio.to_thread(jobs.latest)
    told = headline(scored.result)
    await publish_markdown(
        artifact_key("competency", runtime.agent_id),
        scoring_markdown(scored, images, history),
        description=told,
    )
    await publish_table(
        artifact_key("priorities", runtime.agent_id), table_rows(scored), description=told
    )


def _images(runtime: Runtime, scored: Scoring, settings: CompetencySettings) -> dict[str, str]:
    """Keep a scoring's plots in the run's folder; return them as images that carry their data."""
    past = [row for row in runtime.ledger.rows(CompetencyRow) if row.agent_id == runtime.agent_id]
    note = is_rehearsal(runtime.ledger, runtime.run_key)
    images = {}
    for name, svg in scoring_plots(scored, past, settings, note=note).items():
        write_atomic(runtime.folder.plots / f"competency-{name}.svg", svg)
        images[name] = as_markdown_image(svg, f"competency: {name}")
    return images


async def publish_review(found: Review) -> None:
    """Show a review as a table: every agent, what is missing, what was done."""
    await publish_table(
        "graduation-review",
        [
            {
                "agent": artifact_link(trail_key(item.agent_id), item.agent_id),
                "scope": item.scope,
                "level": item.level.value,
                "next": item.target.value if item.target else "",
                "score": f"{item.score:.1f}",
                "ready": "✓" if item.ready else "",
                "action": item.action.replace("_", " "),
                "why": item.reason,
                "what to do": NEXT.get(item.action, ""),
                "most to gain in": NAMES.get(item.weakest, ""),
            }
            for item in found.decisions
        ],
        description=review_line(found),
    )


def trail_key(agent_id: str) -> str:
    """Return the key of an agent's graduation report."""
    return artifact_key("graduation", agent_id)


async def publish_trail(trail: Trail) -> None:
    """Show an agent's graduation report, plots included."""
    images = await asyncio.to_thread(trail_plots, trail)
    await publish_markdown(
        trail_key(trail.agent_id),
        to_markdown(trail, images),
        description=f"{trail.agent_name}: {trail.current_maturity.value}",
    )


async def publish_exam(found: ExamResult) -> None:
    """Show an exam: what was attempted and what came of it."""
    await publish_markdown(
        artifact_key("exam", found.agent_id), exam_markdown(found), description=found.reason
    )
