"""Plots as PNG or SVG, made without a browser or a network.

One palette that the common kinds of colour blindness keep apart (P. Okabe and K. Ito,
2008); a card of its own behind every plot, so that it reads on light and dark pages;
titles that state what was found.
"""

import base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from grindstone.extras import from_extra, has_extra, remedy
from grindstone.records import Outcome

if TYPE_CHECKING:
    import altair as alt

    from grindstone.report.model import RunReport, TaskLine

BLUE, ORANGE, GREEN, RED, GREY, INK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#9AA5B1",
    "#1F2933",
)
PALETTE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", RED, "#F0E442")
WIDTH, HEIGHT = 560, 280
MOST_TASKS = 80
"""Rows of a grid. More is higher than a page, and Vega nests a step in its order for each."""

Format = Literal["svg", "png"]

NO_PLOTS = f"No plots: {remedy('plots')}"
"""What stands in their place where the extra is not installed."""


def can_plot() -> bool:
    """Return whether plots can be made; pages go without where they cannot."""
    return has_extra("plots")


class Bar(NamedTuple):
    """A bar; `low` and `high` bound it where an interval is known."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None


class Point(NamedTuple):
    """A point of a line; `at` is a number such as a cycle, counted from 1."""

    at: float
    value: float
    series: str = ""


@from_extra("plots", "a plot")
def egl_curve(report: "RunReport", *, threshold: float | None = None) -> "alt.TopLevelMixin":
    """Return EGL per cycle, the threshold as a dashed line, convergence marked."""
    import altair as alt

    rows = [(row.index + 1, row.egl, row.converged) for row in report.egl if row.egl is not None]
    limits = [row.threshold for row in report.egl if row.threshold is not None]
    limit = threshold if threshold is not None else (limits[-1] if limits else None)
    converged = next((cycle for cycle, _, done in rows if done), None)
    if converged is not None:
        title = f"The library is complete: stable since cycle {converged}"
    elif rows and limit is not None and rows[-1][1] < limit:
        title = "Nothing new was needed last, though not for long enough to call it complete"
    elif rows:
        title = f"Still learning: {rows[-1][1]:.1f} new skills per 1000 solved tasks"
    else:
        title = "No task solved yet, so no EGL"
    data = _data([{"cycle": c, "egl": egl, "converged": done} for c, egl, done in rows])
    x = alt.X("cycle:Q", title="cycle", axis=_steps(row[0] for row in rows), scale=_padded())
    y = alt.Y("egl:Q", title="new skills per 1000 solved tasks")
    base = alt.Chart(data).encode(x=x, y=y)
    layers: list[Any] = [base.mark_line(color=BLUE, strokeWidth=2.5)]
    layers.append(base.mark_point(color=BLUE, filled=True, size=60))
    if limit is not None:
        rule = alt.Chart(_data([{"limit": limit}]))
        layers.append(rule.mark_rule(color=RED, strokeDash=[6, 4]).encode(y="limit:Q"))
        text = rule.mark_text(align="right", dy=-7, color=RED).encode(
            y="limit:Q", x=alt.value(WIDTH), text=alt.value(f"threshold {limit:g}")
        )
        layers.append(text)
    if converged is not None:
        done = base.transform_filter(alt.datum.cycle == converged)
        layers.append(done.mark_point(color=GREEN, size=260, strokeWidth=3, filled=False))
    return _finish(alt.layer(*layers), title, report.rehearsal)


def pass_rate_by_cycle(report: "RunReport") -> "alt.TopLevelMixin":
    """Return the share of the run's tasks solved so far, after each cycle."""
    n = report.n_tasks
    points = [Point(line.cycle, line.solved_so_far / n) for line in report.by_cycle if n]
    if len(points) > 1:
        title = f"Solved tasks went from {points[0].value:.0%} to {points[-1].value:.0%}"
    else:
        title = f"{points[0].value:.0%} of the tasks solved" if points else "No attempts yet"
    return line_over(
        points, title, x="cycle", y="tasks solved so far", percent=True, note=report.rehearsal
    )


@from_extra("plots", "a plot")
def verdict_grid(report: "RunReport") -> "alt.TopLevelMixin":
    """Return the tasks against the cycles, one coloured cell per cycle's attempts."""
    import altair as alt

    words = {"passed": "✓", "failed": "✗", "error": "!"}
    drawn = _most_telling(report.tasks)
    cells = {
        (line.task_id, each.cycle): each.outcome.value for line in drawn for each in line.attempts
    }
    rows = [
        {"task": task, "cycle": cycle, "outcome": outcome, "mark": words[outcome]}
        for (task, cycle), outcome in cells.items()
    ]
    lucky = report.resolved_unchanged
    luck = f", {lucky} by trying again" if lucky else ""
    title = (
        f"{report.passed} of {report.n_scored} tasks ended passed; "
        f"{report.resolved_by_grinding - report.resolved_unchanged} only after learning{luck}"
        if report.n_scored
        else "No scored attempts"
    )
    if len(drawn) < len(report.tasks):
        title += f"; {len(drawn)} of them drawn, those that did not pass at once first"
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("cycle:O", title="cycle", axis=alt.Axis(orient="top", labelAngle=0)),
        y=alt.Y("task:N", title=None, sort=[line.task_id for line in drawn]),
    )
    colours = alt.Scale(domain=["passed", "failed", "error"], range=[GREEN, RED, GREY])
    boxes = base.mark_rect(cornerRadius=4, stroke="white", strokeWidth=3).encode(
        color=alt.Color("outcome:N", scale=colours, title=None, legend=alt.Legend(orient="bottom"))
    )
    marks = base.mark_text(color="white", fontSize=14, fontWeight="bold").encode(text="mark:N")
    height = max(60, 26 * len(drawn))
    width = max(160, 64 * len({row["cycle"] for row in rows}))
    return _finish(alt.layer(boxes, marks), title, report.rehearsal, width=width, height=height)


def _most_telling(tasks: Sequence["TaskLine"]) -> Sequence["TaskLine"]:
    if len(tasks) <= MOST_TASKS:
        return tasks
    at_once = [all(each.outcome is Outcome.PASSED for each in line.attempts) for line in tasks]
    first = sorted(range(len(tasks)), key=lambda number: (at_once[number], number))
    return [tasks[number] for number in sorted(first[:MOST_TASKS])]


def cost_by_role(report: "RunReport") -> "alt.TopLevelMixin":
    """Return dollars per role; tokens where no price is known."""
    priced = [line for line in report.costs if line.cost_usd is not None]
    if priced and sum(line.cost_usd or 0 for line in priced) > 0:
        bars = [Bar(line.role, line.cost_usd or 0.0) for line in priced]
        total = sum(bar.value for bar in bars)
        most = max(bars, key=lambda bar: bar.value)
        title = f"${total:,.2f} in all, {most.value / total:.0%} of it by the {most.label}"
        return bars_with_intervals(bars, title, value="US dollars", note=report.rehearsal)
    bars = [
        Bar(
            line.role,
            line.input_tokens
            + line.output_tokens
            + line.cache_read_tokens
            + line.cache_write_tokens,
        )
        for line in report.costs
    ]
    price = "price unknown" if report.unpriced_calls else "at no cost"
    title = f"{report.total_tokens:,} tokens, {price}" if bars else "No model calls"
    return bars_with_intervals(bars, title, value="tokens", note=report.rehearsal)


def pass_by_category(report: "RunReport") -> "alt.TopLevelMixin":
    """Return the pass ratio per category with its interval."""
    bars = [
        Bar(f"{line.name} ({line.passed}/{line.tasks})", line.ratio, line.low, line.high)
        for line in report.by_category
        if line.ratio is not None
    ]
    worst = min(bars, key=lambda bar: bar.value, default=None)
    title = f"Weakest: {worst.label}" if worst else "No scored attempts"
    return bars_with_intervals(bars, title, value="pass ratio", percent=True, note=report.rehearsal)


def arms_compared(report: "RunReport") -> "alt.TopLevelMixin":
    """Return the pass ratio of the arms with and without skills, with their intervals."""
    seen = report.comparison
    arms = (seen.with_skills, seen.without_skills) if seen else ()
    bars = [
        Bar(f"{arm.name} skills", arm.pass_ratio, *(arm.pass_interval or (0, None, None))[1:])
        for arm in arms
        if arm.pass_ratio is not None
    ]
    if seen is not None and seen.paired.difference is not None:
        title = f"Skills: {100 * seen.paired.difference:+.0f} points"
    else:
        title = "No scored pairs"
    return bars_with_intervals(bars, title, value="pass ratio", percent=True, note=report.rehearsal)


@from_extra("plots", "a plot")
def bars_with_intervals(
    bars: Sequence[Bar],
    title: str,
    *,
    value: str = "",
    percent: bool = False,
    target: float | None = None,
    note: bool = False,
) -> "alt.TopLevelMixin":
    """Return horizontal bars, in the order given, with intervals where they are known.

    Args:
        bars: What to show: domains, skills, roles.
        title: The finding.
        value: Name of the value axis.
        percent: Values are ratios.
        target: A value to draw a line at.
        note: Say that this was a rehearsal.
    """
    import altair as alt

    data = _data([bar._asdict() for bar in bars])
    form = ".0%" if percent else "~s"
    span = [bound for bar in bars for bound in (bar.low, bar.value, bar.high) if bound is not None]
    ratio = percent and min(span, default=0) >= 0
    scale = alt.Scale(domain=[0, 1]) if ratio else alt.Scale(nice=True, zero=True)
    base = alt.Chart(data).encode(y=alt.Y("label:N", sort=None, title=None))
    axis = alt.Axis(format=form)
    layers: list[Any] = [
        base.mark_bar(color=BLUE, cornerRadiusEnd=3, height={"band": 0.62}).encode(
            x=alt.X("value:Q", title=value, scale=scale, axis=axis)
        )
    ]
    if any(bar.low is not None for bar in bars):
        known = base.transform_filter("isValid(datum.low)")
        layers.append(known.mark_rule(color=INK, strokeWidth=2).encode(x="low:Q", x2="high:Q"))
    if target is not None:
        line = alt.Chart(_data([{"target": target}]))
        layers.append(line.mark_rule(color=RED, strokeDash=[6, 4]).encode(x="target:Q"))
    return _finish(alt.layer(*layers), title, note, height=max(60, 34 * len(bars)))


@from_extra("plots", "a plot")
def line_over(
    points: Sequence[Point],
    title: str,
    *,
    x: str,
    y: str,
    percent: bool = False,
    target: float | None = None,
    note: bool = False,
) -> "alt.TopLevelMixin":
    """Return one line per series over cycles, or whatever `x` counts."""
    import altair as alt

    data = _data([point._asdict() for point in points])
    several = len({point.series for point in points}) > 1
    scale = alt.Scale(domain=[0, 1]) if percent else alt.Scale(zero=True, nice=True)
    colour: Any = (
        alt.Color(
            "series:N", title=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=300)
        )
        if several
        else alt.value(BLUE)
    )
    base = alt.Chart(data).encode(
        x=alt.X("at:Q", title=x, axis=_steps(point.at for point in points), scale=_padded()),
        y=alt.Y("value:Q", title=y, scale=scale, axis=alt.Axis(format=".0%" if percent else "~r")),
        color=colour,
    )
    layers: list[Any] = [base.mark_line(strokeWidth=2.5), base.mark_point(filled=True, size=60)]
    if target is not None:
        line = alt.Chart(_data([{"target": target}]))
        layers.append(line.mark_rule(color=RED, strokeDash=[6, 4]).encode(y="target:Q"))
    return _finish(alt.layer(*layers), title, note)


@from_extra("plots", "a plot")
def render_svg(chart: "alt.TopLevelMixin") -> bytes:
    """Return a chart as SVG."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.to_json(validate=False))).encode()


@from_extra("plots", "a plot")
def render_png(chart: "alt.TopLevelMixin", scale: float = 2.0) -> bytes:
    """Return a chart as PNG; at scale 2 it stays sharp on dense screens."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(chart.to_json(validate=False), scale=scale))


def as_markdown_image(image: bytes, alt_text: str = "plot") -> str:
    """Return a PNG or SVG as a Markdown image that carries its own data."""
    return f"![{alt_text}]({data_uri(image)})"


def data_uri(image: bytes) -> str:
    """Return a PNG or SVG as a data URI."""
    kind = "image/png" if image.startswith(b"\x89PNG") else "image/svg+xml"
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def report_plots(report: "RunReport") -> dict[str, "alt.TopLevelMixin"]:
    """Return the plots that have something to show, by the section they belong to.

    None where the extra `plots` is not installed, and none of a single attempt: it is one number,
    which the report's words say, and to draw it five times takes longer than many an attempt.
    """
    if not can_plot() or sum(len(line.attempts) for line in report.tasks) == 1:
        return {}
    plots: dict[str, alt.TopLevelMixin] = {}
    if report.by_cycle:
        plots["pass_rate"] = pass_rate_by_cycle(report)
        plots["verdicts"] = verdict_grid(report)
    if any(row.egl is not None for row in report.egl):
        plots["egl"] = egl_curve(report)
    if any(line.ratio is not None for line in report.by_category):
        plots["categories"] = pass_by_category(report)
    if report.comparison is not None and report.comparison.paired.n_pairs:
        plots["comparison"] = arms_compared(report)
    if report.costs:
        plots["cost"] = cost_by_role(report)
    return plots


def _data(rows: list[dict[str, Any]]) -> "alt.InlineData":
    import altair as alt

    return alt.InlineData(values=rows)


def _steps(values: Iterable[float]) -> "alt.Axis":
    """One tick per value while they are few, so that no half cycle is shown."""
    import altair as alt

    found = sorted(set(values))
    if 0 < len(found) <= 20:
        return alt.Axis(values=found, format="~g")
    return alt.Axis(tickMinStep=1, format="~g")


def _padded() -> "alt.Scale":
    import altair as alt

    return alt.Scale(padding=24, nice=False, zero=False)


def _finish(
    chart: Any,
    title: str,
    rehearsal: bool,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
) -> "alt.TopLevelMixin":
    import altair as alt

    lines = ["rehearsal: no model was asked"] if rehearsal else []
    heading = alt.TitleParams(title, subtitle=lines, anchor="start", offset=14)
    finished: alt.TopLevelMixin = (
        chart.properties(
            width=width, height=height, title=heading, background="#FFFFFF", padding=16
        )
        .configure_view(stroke=None)
        .configure_title(fontSize=16, color=INK, subtitleColor="#52606D", subtitleFontSize=12)
        .configure_axis(
            labelColor=INK,
            titleColor="#52606D",
            gridColor="#E4E7EB",
            domainColor="#9AA5B1",
            tickColor="#9AA5B1",
            labelFontSize=12,
            titleFontSize=12,
            labelLimit=240,
        )
        .configure_legend(labelColor=INK, labelFontSize=12)
        .configure_range(category=list(PALETTE))
    )
    return finished
