"""Competency as a run leaves it: rows in the ledger, plots, and what the Prefect UI shows."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grindstone.base import Frozen
from grindstone.competency.evaluation import CompetencyEval, CompetencyResult
from grindstone.competency.jobs import TrainingJobs
from grindstone.competency.measured import Estimate, estimates, measure
from grindstone.competency.notation import dependency_of
from grindstone.files import write_atomic
from grindstone.ledger.tables.autonomy import CompetencyRow, JobRow
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import utc_now
from grindstone.report.plots import (
    Bar,
    Point,
    as_markdown_image,
    bars_with_intervals,
    line_over,
    render_svg,
)
from grindstone.settings import CompetencySettings
from grindstone.tasks.artifacts import artifact_key, publish_markdown, publish_table
from grindstone.tasks.runtime import Runtime


class Scored(Frozen):
    """One scoring of an agent."""

    index: int  # within the run, from 0
    result: CompetencyResult
    estimates: dict[str, Estimate]


class Images(NamedTuple):
    """A scoring's plots, as markdown images that carry their data."""

    domains: str
    trend: str


def measure_agent(
    runtime: Runtime, settings: CompetencySettings, domains: Sequence[str]
) -> dict[str, Estimate]:
    """Return an agent's competency in some domains, as the ledger shows it now."""
    table = measure(
        runtime.ledger.scan("episodes"),
        base=settings.base,
        by=settings.domains_by,
        prior_strength=settings.prior_strength,
        half_life_days=settings.half_life_days,
        min_episodes=settings.min_episodes,
    )
    found = estimates(table, runtime.agent_id, domains)
    return {name: found[name] for name in domains}


def score_agent(
    runtime: Runtime, settings: CompetencySettings, domains: Sequence[str], *, index: int
) -> Scored:
    """Measure, score, and keep the rows."""
    found = measure_agent(runtime, settings, domains)
    result = CompetencyEval(
        {name: estimate.score for name, estimate in found.items()},
        settings.base,
        dependency_of(settings.dependency),
        default_weight=settings.default_weight,
    ).run()
    now = utc_now()
    rows = [
        CompetencyRow(
            run_key=runtime.run_key,
            agent_id=runtime.agent_id,
            index=index,
            domain=name,
            score=estimate.score,
            base=settings.base,
            interval_low=estimate.low,
            interval_high=estimate.high,
            n_episodes=estimate.n_episodes,
            deficit=result.deficits[name],
            centrality=result.centrality[name],
            priority=result.priority[name],
            competency_index=result.index,
            balanced_index=result.balanced_index,
            note=estimate.note,
            at=now,
        )
        for name, estimate in found.items()
    ]
    runtime.ledger.append(rows, run_key=runtime.run_key)
    return Scored(index=index, result=result, estimates=found)


def rehearsed(runtime: Runtime) -> bool:
    """Return whether the run is a rehearsal."""
    return any(row.rehearsal for row in runtime.ledger.rows(RunRow, runtime.run_key))


async def publish_scored(runtime: Runtime, scored: Scored, settings: CompetencySettings) -> None:
    """Show a scoring: domains with their intervals, the index over time, the priorities."""
    images = await asyncio.to_thread(_plots, runtime, scored, settings)
    jobs = TrainingJobs(runtime.home, runtime.agent_id)
    history = await asyncio.to_thread(jobs.latest)
    told = headline(scored.result)
    await publish_markdown(
        artifact_key("competency", runtime.agent_id),
        "\n\n".join(
            (
                f"# {told}",
                scored.result.balance_reason[0].upper() + scored.result.balance_reason[1:] + ".",
                images.domains,
                images.trend,
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


def headline(result: CompetencyResult) -> str:
    """Return the finding in a sentence."""
    weakest = result.weakest_domain()
    if weakest is None:
        return "Nothing is measured yet"
    return (
        f"Competency index {result.index:.1%}, balanced {result.balanced_index:.1%}; "
        f"weakest: {weakest} at {result.domains[weakest]:.1f} of {result.base:g}"
    )


def table_rows(scored: Scored) -> list[dict[str, str]]:
    """Return a row per domain, the most urgent first; texts, ready to be shown."""
    result = scored.result
    order = sorted(result.domains, key=lambda name: -(result.priority[name] or -1.0))
    rows = []
    for name in order:
        estimate = scored.estimates[name]
        known = estimate.score is not None
        rows.append(
            {
                "domain": name,
                "competency": _number(estimate.score) or "unknown",
                "95% interval": f"{_number(estimate.low)} to {_number(estimate.high)}"
                if known
                else "",
                "attempts": f"{estimate.n_passed}/{estimate.n_episodes}",
                "deficit": _number(result.deficits[name]),
                "centrality": f"{result.centrality[name]:.2f}",
                "priority": _number(result.priority[name]),
                "note": estimate.note,
            }
        )
    return rows


def priorities_markdown(scored: Scored) -> str:
    """Return `table_rows` as a markdown table."""
    return _table(table_rows(scored))


def jobs_markdown(latest: Sequence[JobRow]) -> str:
    """Return each domain's last training job as a markdown table."""
    if not latest:
        return "No training was ordered yet."
    return _table(
        [
            {
                "domain": row.domain,
                "job": row.job_id,
                "state": row.status,
                "before": _number(row.before),
                "after": _number(row.after),
                "note": row.note,
            }
            for row in latest
        ]
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


def index_over_time(rows: Sequence[CompetencyRow]) -> list[Point]:
    """Return both indices of an agent, a point for every scoring of any run."""
    scorings: dict[tuple[str, int], CompetencyRow] = {}
    for row in sorted(rows, key=lambda row: (row.at, row.run_key, row.index)):
        scorings.setdefault((row.run_key, row.index), row)
    points = []
    for number, row in enumerate(scorings.values(), start=1):
        for series, value in (
            ("index", row.competency_index),
            ("balanced index", row.balanced_index),
        ):
            if value is not None:
                points.append(Point(number, value, series))
    return points


def _plots(runtime: Runtime, scored: Scored, settings: CompetencySettings) -> Images:
    result, note = scored.result, rehearsed(runtime)
    bars = [
        Bar(
            f"{name} ({estimate.n_passed}/{estimate.n_episodes})",
            estimate.score or 0.0,
            estimate.low,
            estimate.high,
        )
        for name, estimate in sorted(
            scored.estimates.items(), key=lambda pair: -(pair[1].score or 0.0)
        )
    ]
    domains = bars_with_intervals(
        bars,
        headline(result),
        value=f"competency, 0 to {settings.base:g}, with 95% interval",
        target=settings.base,
        note=note,
    )
    rows = [row for row in runtime.ledger.rows(CompetencyRow) if row.agent_id == runtime.agent_id]
    points = index_over_time(rows)
    over_time = line_over(
        points,
        _trend([point.value for point in points if point.series == "index"]),
        x="scoring",
        y="competency index",
        percent=True,
        target=settings.target_index,
        note=note,
    )
    images = {}
    for name, chart in (("domains", domains), ("trend", over_time)):
        svg = render_svg(chart)
        write_atomic(runtime.run_dir / "plots" / f"competency-{name}.svg", svg)
        images[name] = as_markdown_image(svg, f"competency: {name}")
    return Images(**images)


def _trend(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"First scoring: {values[0]:.1%}" if values else "Not scored yet"
    return f"The index went from {values[0]:.1%} to {values[-1]:.1%}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([_cell(row[head]) for head in heads] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
