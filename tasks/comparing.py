"""A comparison with skills against without, as the Prefect UI shows it."""

from grindstone.report.markdown_arms import comparison_headline, comparison_section
from grindstone.report.model import RunReport
from grindstone.report.words import MARKS, points
from grindstone.tasks.artifacts import artifact_key, publish_markdown, publish_table


async def publish_comparison(report: RunReport, image: str) -> None:
    """Show a report's comparison: headline, arms and plot, and a row per task.

    Args:
        report: Of a run that compared; nothing is shown for another.
        image: The plot as a markdown image; may be empty.
    """
    seen = report.comparison
    if seen is None:
        return
    said = comparison_headline(seen)
    key = artifact_key("comparison", report.agent_id)
    await publish_markdown(
        key, f"# {said}\n\n{comparison_section(report)}\n\n{image}\n", description=said
    )
    rows = [
        {
            "task": task.task_id,
            "category": task.category,
            "with skills": " ".join(MARKS[outcome] for outcome in task.with_skills),
            "without skills": " ".join(MARKS[outcome] for outcome in task.without_skills),
            "points": points(task.difference),
        }
        for task in seen.tasks
    ]
    await publish_table(artifact_key("comparison-tasks", report.agent_id), rows, description=said)
