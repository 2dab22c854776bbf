"""What the Prefect UI shows of a run: attempts, verdicts, gates, comparisons, its report."""

import asyncio
from collections.abc import Sequence
from typing import Any

from grindstone.attempt.page import attempt_headline, attempt_markdown
from grindstone.attempt.run import AttemptResult
from grindstone.evolve.behaviour import JudgedAttempt
from grindstone.files import write_atomic
from grindstone.ledger.tables.releases import ReleaseRow
from grindstone.observe.patterns import Pattern
from grindstone.records import Outcome
from grindstone.report.certificate import release_headline
from grindstone.report.gate_page import Gated, gate_markdown, gate_plot
from grindstone.report.markdown import headline, render_markdown
from grindstone.report.markdown_arms import comparison_headline, comparison_section
from grindstone.report.markdown_gates import gate_headline
from grindstone.report.model import RunReport, TaskLine
from grindstone.report.plots import as_markdown_image
from grindstone.report.words import money, points
from grindstone.runs.incidents import spared
from grindstone.tasks.artifacts import (
    artifact_key,
    artifact_link,
    flow_runs_link,
    newest_pages,
    publish_markdown,
    publish_table,
    viewer_link,
)
from grindstone.tasks.runtime import Runtime


def trajectory_key(task_id: str) -> str:
    """Return the key of a task's trajectories."""
    return artifact_key("trajectory", task_id)


async def publish_trajectory(attempted: AttemptResult) -> None:
    """Show one attempt: headline, skills, then every step."""
    episode = attempted.episode
    link = await viewer_link("Open it in the viewer", "episode", episode.episode_id)
    title, _, rest = attempt_markdown(attempted).partition("\n\n")
    await publish_markdown(
        trajectory_key(episode.task_id),
        "\n\n".join(filter(None, (title, link, rest))),
        description=attempt_headline(episode),
    )


async def publish_judged(
    agent_id: str, judged: Sequence[JudgedAttempt], patterns: Sequence[Pattern], *, cycle: int
) -> None:
    """Show what the judge saw in a cycle: a row per attempt, with the failures tasks share."""
    shared = {task_id: pattern.reason for pattern in patterns for task_id in pattern.task_ids}
    await publish_table(
        artifact_key("judge", agent_id),
        [
            {
                "task": item.task_id,
                "score": "-" if item.verdict is None else item.verdict.score,
                "category": item.verdict.category if item.verdict else "",
                "outcome": item.verdict.outcome if item.verdict else f"no verdict: {item.error}",
                "failure reason": item.verdict.failure_reason if item.verdict else "",
                "pattern": shared.get(item.task_id, ""),
                "trajectory": artifact_link(trajectory_key(item.task_id), "read it"),
            }
            for item in judged
        ],
        description=f"What the judge saw in cycle {cycle}: {len(patterns)} patterns",
    )


async def publish_gate(runtime: Runtime, gated: Gated) -> None:
    """Show a decision: in the run's folder, and as an artifact with links to trajectories."""
    with spared(f"what is shown of the gate {gated.row.gate_id}"):
        await _publish_gate(runtime, gated)


async def _publish_gate(runtime: Runtime, gated: Gated) -> None:
    svg = await asyncio.to_thread(gate_plot, gated)
    name, folder = artifact_key("gate", gated.row.gate_id), runtime.folder
    in_folder, in_page = gate_markdown(gated), ""
    if svg is not None:
        await asyncio.to_thread(write_atomic, folder.plots / f"{name}.svg", svg)
        in_folder = gate_markdown(gated, f"![differences](plots/{name}.svg)")
        in_page = as_markdown_image(svg, "differences")
    await asyncio.to_thread(write_atomic, folder.root / f"{name}.md", in_folder)
    await publish_markdown(
        artifact_key("gate", runtime.agent_id),
        gate_markdown(
            gated,
            in_page,
            link=lambda task_id: artifact_link(trajectory_key(task_id), task_id),
        ),
        description=gate_headline(gated.row),
    )


async def publish_release(row: ReleaseRow, page: str) -> None:
    """Show what a release claims, with its certificate."""
    await publish_markdown(
        artifact_key("release", row.agent_id), page, description=release_headline(row)
    )


async def publish_comparison(report: RunReport, image: str) -> None:
    """Show a report's comparison: headline, arms and plot, and a row per task.

    Args:
        report: Of a run that compared; nothing is shown for another.
        image: The plot as a markdown image; may be empty.
    """
    seen = report.comparison
    if seen is None:
        return
    said = f"{'Rehearsal: ' * report.rehearsal}{comparison_headline(seen)}"
    key = artifact_key("comparison", report.agent_id)
    page = f"# {said}\n\n{comparison_section(report, under_headline=True)}\n\n{image}\n"
    await publish_markdown(key, page, description=said)
    rows = [
        {
            "task": task.task_id,
            "category": task.category,
            "with skills": " ".join(outcome.mark for outcome in task.with_skills),
            "without skills": " ".join(outcome.mark for outcome in task.without_skills),
            "points": points(task.difference),
        }
        for task in seen.tasks
    ]
    await publish_table(artifact_key("comparison-tasks", report.agent_id), rows, description=said)


async def publish_report(report: RunReport, images: dict[str, str]) -> None:
    """Show tables and curves, then the report with links to them and to every trajectory.

    Args:
        report: Of the run.
        images: Its plots by name, as markdown images.
    """
    agent, said = report.agent_id, headline(report)
    report_key = artifact_key("report", agent)
    back = artifact_link(report_key, "← report")
    await publish_comparison(report, images.get("comparison", ""))
    keys = {line.task_id: trajectory_key(line.task_id) for line in report.tasks}
    newest = await newest_pages(keys.values())
    pages = {task: newest[key] for task, key in keys.items() if key in newest}
    links = []
    if report.tasks:
        rows = [
            _verdict_row(line, pages.get(line.task_id, ""), rehearsal=report.rehearsal)
            for line in report.tasks
        ]
        page = await publish_table(artifact_key("verdicts", agent), rows, description=said)
        links.append(f"[verdict table]({page})")
    if "egl" in images:
        about = (
            f"New skills per thousand solved tasks, in each cycle of run `{report.run_key}`, "
            "numbered through all batches."
        )
        page = await publish_markdown(
            artifact_key("egl", agent),
            f"# EGL of {agent}\n\n{about} {back}\n\n{images['egl']}\n",
            description=f"EGL curve of {report.run_key}",
        )
        links.append(f"[EGL curve]({page})")
    if report.comparison:
        links.append(
            artifact_link(artifact_key("comparison", agent), "with against without skills")
        )
    if any(item.outcome is Outcome.FAILED for line in report.tasks for item in line.attempts):
        mark = Outcome.FAILED.mark
        links.append(flow_runs_link(report.run_key, mark, "attempts that failed"))
    links.append(artifact_link(report_key, "earlier reports"))
    if link := await viewer_link("viewer", "run", report.run_key):
        links.append(link)
    title, _, rest = render_markdown(report, images, pages).partition("\n\n")
    await publish_markdown(
        report_key, f"{title}\n\n{' · '.join(links)}\n\n{rest}", description=said
    )


def _verdict_row(line: TaskLine, page: str, *, rehearsal: bool) -> dict[str, Any]:
    last = line.attempts[-1] if line.attempts else None
    return {
        "task": line.task_id,
        "category": line.category,
        "difficulty": line.difficulty,
        "cycles": " ".join(item.outcome.mark for item in line.attempts),
        "tests": f"{last.tests_passed}/{last.tests_total}" if last and last.tests_total else "",
        "skills it passed with": ", ".join(line.helped),
        "cost": money(line.cost_usd, line.unpriced_calls, rehearsal=rehearsal),
        "trajectory": f"[read it]({page})" if page else "",
    }
