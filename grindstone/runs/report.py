"""A run's report and plots, written into its folder."""

from collections.abc import Mapping
from typing import NamedTuple

from grindstone.boundary import step_boundary
from grindstone.errors import InternalError
from grindstone.files import write_atomic
from grindstone.home import RunFolder
from grindstone.ledger import Ledger
from grindstone.report.markdown import render_markdown
from grindstone.report.model import IncidentLine, RunReport, to_json
from grindstone.report.plots import (
    NO_PLOTS,
    as_markdown_image,
    can_plot,
    render_svg,
    report_plots,
)
from grindstone.report.run_report import build_report
from grindstone.runs.incidents import spared
from grindstone.runs.progress import Note, current_watcher


class WrittenReport(NamedTuple):
    """A report, and its plots by name as markdown images that carry their data."""

    report: RunReport
    images: dict[str, str]


def write_report(
    ledger: Ledger, run_key: str, folder: RunFolder, *, drawn: Mapping[str, str] | None = None
) -> WrittenReport:
    """Write `report.json`, `report.md` and the plots of a run.

    A report that cannot be made says so in its place: what the run did stands.

    Args:
        ledger: Where the run's rows are.
        run_key: The run.
        folder: The run's.
        drawn: The plots, where they are drawn already.
    """
    images = dict(drawn or {})
    try:
        with step_boundary("report"):
            report = build_report(ledger, run_key)
            if drawn is None and not can_plot():
                current_watcher()(Note(NO_PLOTS))
            elif drawn is None:
                with spared("plots"):
                    for name, chart in report_plots(report).items():
                        svg = render_svg(chart)
                        write_atomic(folder.plots / f"{name}.svg", svg)
                        images[name] = as_markdown_image(svg, name.replace("_", " "))
            files = {name: f"![{name.replace('_', ' ')}](plots/{name}.svg)" for name in images}
            text = render_markdown(report, files)
    except InternalError as error:
        lost = IncidentLine(step="report", error=error.detail, traceback_file="")
        report = RunReport(run_key=run_key, status="completed", incidents=(lost,))
        text = render_markdown(report)
    with spared("report's files"):
        write_atomic(folder.root / "report.json", to_json(report))
        write_atomic(folder.root / "report.md", text)
    return WrittenReport(report, images)
