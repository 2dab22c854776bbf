"""Competency as a run leaves it: its run's end, and what the Prefect UI shows."""

import asyncio

from grindstone.competency.jobs import TrainingJobs
from grindstone.competency.scoring import Scoring
from grindstone.competency.scoring_page import (
    headline,
    jobs_markdown,
    priorities_markdown,
    scoring_plots,
    table_rows,
)
from grindstone.files import write_atomic
from grindstone.ledger.tables.autonomy import CompetencyRow
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import utc_now
from grindstone.report.plots import as_markdown_image
from grindstone.settings import CompetencySettings
from grindstone.tasks.artifacts import artifact_key, publish_markdown, publish_table
from grindstone.tasks.runtime import Runtime


def rehearsed(runtime: Runtime) -> bool:
    """Return whether the run is a rehearsal."""
    return any(row.rehearsal for row in runtime.ledger.rows(RunRow, runtime.run_key))


async def publish_scored(runtime: Runtime, scored: Scoring, settings: CompetencySettings) -> None:
    """Show a scoring: domains with their intervals, the index over time, the priorities."""
    images = await asyncio.to_thread(_images, runtime, scored, settings)
    jobs = TrainingJobs(runtime.home, runtime.agent_id)
    history = await asyncio.to_thread(jobs.latest)
    told = headline(scored.result)
    await publish_markdown(
        artifact_key("competency", runtime.agent_id),
        "\n\n".join(
            (
                f"# {told}",
                scored.result.balance_reason[0].upper() + scored.result.balance_reason[1:] + ".",
                images["domains"],
                images["trend"],
                "## What to train\n\n" + priorities_markdown(scored),
                "## Training\n\n" + jobs_markdown(history),
            )
        )
        + "\n",
        description=told,
    )
    await publish_table(
        artifact_key("priorities", runtime.agent_id), table_rows(scored), description=told
    )


async def close_run(runtime: Runtime, *, note: str = "") -> None:
    """Note that the run has ended; a note says why it ended early."""

    def close() -> None:
        rows = runtime.ledger.rows(RunRow, runtime.run_key)
        last = max(rows, key=lambda row: row.sequence)
        status = "stopped" if note else "completed"
        ended = {"sequence": last.sequence + 1, "status": status, "note": note, "at": utc_now()}
        runtime.ledger.append([last.model_copy(update=ended)], run_key=runtime.run_key)

    await asyncio.to_thread(close)


def _images(runtime: Runtime, scored: Scoring, settings: CompetencySettings) -> dict[str, str]:
    """Keep a scoring's plots in the run's folder; return them as images that carry their data."""
    past = [row for row in runtime.ledger.rows(CompetencyRow) if row.agent_id == runtime.agent_id]
    images = {}
    for name, svg in scoring_plots(scored, past, settings, note=rehearsed(runtime)).items():
        write_atomic(runtime.run_dir / "plots" / f"competency-{name}.svg", svg)
        images[name] = as_markdown_image(svg, f"competency: {name}")
    return images
