import struct
import xml.etree.ElementTree as ET

import pytest

from grindstone.ledger.store import Ledger
from grindstone.records import Outcome
from grindstone.report.model import RunReport
from grindstone.report.plots import (
    Bar,
    Point,
    as_markdown_image,
    bars_with_intervals,
    egl_curve,
    line_over,
    pass_rate_by_cycle,
    render_png,
    render_svg,
    report_plots,
    verdict_grid,
)
from grindstone.report.run_report import build_report


def words(svg: bytes) -> str:
    return " ".join(text for text in ET.fromstring(svg).itertext())


@pytest.mark.slow
def test_every_plot_of_a_run_is_drawn_and_states_a_finding(run: Ledger) -> None:
    plots = report_plots(build_report(run, "demo"))
    assert set(plots) == {"pass_rate", "verdicts", "egl", "categories", "cost"}
    said = {name: words(render_svg(chart)) for name, chart in plots.items()}
    assert "Solved tasks went from 20% to 60%" in said["pass_rate"]
    assert "3 of 4 tasks ended passed" in said["verdicts"]
    assert "stable since cycle 2" in said["egl"]
    assert "Weakest: logs (1/2)" in said["categories"]
    assert "$0.07 in all" in said["cost"]
    assert all("rehearsal" in text for text in said.values())


def test_a_single_attempt_is_not_drawn(run: Ledger) -> None:
    report = build_report(run, "demo")
    line = report.tasks[0]
    alone = line.model_copy(update={"attempts": line.attempts[:1]})
    assert report_plots(report.model_copy(update={"tasks": (alone,)})) == {}
    assert report_plots(report.model_copy(update={"tasks": (alone, alone)})) != {}


@pytest.mark.slow
def test_of_thousands_of_tasks_those_are_drawn_that_did_not_pass_at_once(run: Ledger) -> None:
    report = build_report(run, "demo")
    passed = next(line for line in report.tasks if line.attempts[0].outcome is Outcome.PASSED)
    failed = next(line for line in report.tasks if line.attempts[0].outcome is Outcome.FAILED)
    lines = [passed.model_copy(update={"task_id": f"passed-{n}"}) for n in range(2500)]
    lines += [failed.model_copy(update={"task_id": f"failed-{n}"}) for n in range(3)]
    said = words(render_svg(verdict_grid(report.model_copy(update={"tasks": tuple(lines)}))))
    assert "drawn, those that did not pass at once first" in said
    for shown in ("failed-0", "failed-2", "passed-0"):
        assert shown in said
    assert "passed-2000" not in said


def test_a_png_is_a_png() -> None:
    image = render_png(bars_with_intervals([Bar("data", 0.5, 0.2, 0.8)], "t", percent=True), 1)
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", image[16:24])
    assert width > 300
    assert height > 50
    assert as_markdown_image(image, "x").startswith("![x](data:image/png;base64,iVBOR")


def test_nothing_to_show_is_still_a_plot() -> None:
    empty = RunReport(run_key="r")
    assert report_plots(empty) == {}
    assert "No task solved yet" in words(render_svg(egl_curve(empty)))
    assert "No attempts yet" in words(render_svg(pass_rate_by_cycle(empty)))
    assert "No scored attempts" in words(render_svg(verdict_grid(empty)))


def test_general_plots_take_targets_and_series() -> None:
    points = [Point(1, 0.2, "a"), Point(2, 0.4, "a"), Point(1, 0.1, "b"), Point(2, 0.3, "b")]
    svg = render_svg(line_over(points, "Index rises", x="cycle", y="index", target=0.8))
    assert "Index rises" in words(svg)
    assert as_markdown_image(svg).startswith("![plot](data:image/svg+xml;base64,")
