"""A scoring as people read it: a sentence, tables, plots."""

from collections.abc import Mapping, Sequence

from grindstone.competency.evaluation import CompetencyResult
from grindstone.competency.scoring import Scoring
from grindstone.ledger.tables.autonomy import CompetencyRow, JobRow
from grindstone.report.plots import Bar, Point, bars_with_intervals, can_plot, line_over, render_svg
from grindstone.report.words import table
from grindstone.settings import CompetencySettings


def headline(result: CompetencyResult) -> str:
    """Return the finding in a sentence."""
    weakest = result.weakest_domain()
    if weakest is None:
        return "Nothing is measured yet"
    return (
        f"Competency index {result.index:.1%}, balanced {result.balanced_index:.1%}; "
        f"weakest: {weakest} at {result.domains[weakest]:.1f} of {result.base:g}"
    )


def scoring_markdown(scored: Scoring, images: Mapping[str, str], history: Sequence[JobRow]) -> str:
    """Return the page of a scoring.

    Args:
        scored: Domains and priorities.
        images: Its plots, `domains` and `trend`, as markdown images.
        history: Each domain's last training job.
    """
    reason = scored.result.balance_reason
    parts = (
        f"# {headline(scored.result)}",
        reason[0].upper() + reason[1:] + ".",
        images.get("domains", ""),
        images.get("trend", ""),
        "## What to train\n\n" + priorities_markdown(scored),
        "## Training\n\n" + jobs_markdown(history),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def table_rows(scored: Scoring) -> list[dict[str, str]]:
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
                "note": scored.notes.get(name, estimate.note),
            }
        )
    return rows


def priorities_markdown(scored: Scoring) -> str:
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


def scoring_plots(
    scored: Scoring,
    past: Sequence[CompetencyRow],
    settings: CompetencySettings,
    *,
    note: bool,
) -> dict[str, bytes]:
    """Return a scoring's plots as SVG: `domains` with their intervals, and the index's `trend`.

    Args:
        scored: What is shown.
        past: The agent's scorings of all runs.
        settings: Scale and target.
        note: Whether they are marked as a rehearsal's.
    """
    if not can_plot():
        return {}
    result = scored.result
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
    points = index_over_time(past)
    over_time = line_over(
        points,
        _trend([point.value for point in points if point.series == "index"]),
        x="scoring",
        y="competency index",
        percent=True,
        target=settings.target_index,
        note=note,
    )
    return {"domains": render_svg(domains), "trend": render_svg(over_time)}


def _trend(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"First scoring: {values[0]:.1%}" if values else "Not scored yet"
    return f"The index went from {values[0]:.1%} to {values[-1]:.1%}"


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    return table(list(rows[0]), [list(row.values()) for row in rows])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
