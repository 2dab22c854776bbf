"""The plots of a graduation report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grindstone.extras import from_extra
from grindstone.graduation.evidence.readiness import NAMES, Readiness
from grindstone.report.plots import BLUE, GREY, HEIGHT, INK, ORANGE, WIDTH

if TYPE_CHECKING:
    import altair as alt


@from_extra("plots", "a plot")
def interventions_plot(
    curve: Sequence[Mapping[str, Any]], *, intervened: int, episodes: int
) -> "alt.TopLevelMixin":
    """Return the intervention rate over the episodes with its upper bound.

    Args:
        curve: Episode, rate and bound, the first episode first; at least one.
        intervened: Episodes that somebody corrected.
        episodes: All of them.
    """
    import altair as alt

    last = curve[-1]
    title = (
        f"{intervened} of {episodes} episodes were corrected; the "
        f"true rate is at most {last['bound']:.1%} (95%)"
    )
    base = alt.Chart(alt.InlineData(values=list(curve))).encode(
        x=alt.X("episode:Q", title="episodes")
    )
    rate = alt.Y("rate:Q", title="share corrected", axis=alt.Axis(format="%"))
    area = base.mark_area(color=ORANGE, opacity=0.25).encode(y=rate, y2="bound:Q")
    line = base.mark_line(color=BLUE, strokeWidth=2.5).encode(y=rate)
    return _finished(alt.layer(area, line), title)


@from_extra("plots", "a plot")
def components_plot(found: Readiness) -> "alt.TopLevelMixin":
    """Return the six components: points reached of points possible."""
    import altair as alt

    rows = [
        {"component": NAMES[item.name], "points": item.weighted, "possible": item.weight}
        for item in found.components
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("component:N", title=None, sort=[NAMES[item.name] for item in found.components])
    )
    possible = base.mark_bar(color=GREY, opacity=0.35).encode(
        x=alt.X("possible:Q", title="points of 100")
    )
    reached = base.mark_bar(color=BLUE).encode(x="points:Q")
    label = base.mark_text(align="left", dx=4, color=INK).encode(
        x="possible:Q", text=alt.Text("points:Q", format=".1f")
    )
    title = f"{found.score:.1f} of 100; most is to be gained in the {NAMES[found.weakest]}"
    return _finished(alt.layer(possible, reached, label), title)


def _finished(chart: Any, title: str) -> "alt.TopLevelMixin":
    made: alt.TopLevelMixin = (
        chart.properties(width=WIDTH, height=HEIGHT, title=title, background="white", padding=16)
        .configure_view(stroke=None)
        .configure_title(anchor="start", fontSize=14, color=INK, offset=12)
        .configure_axis(labelColor=INK, titleColor=INK, gridColor="#e4e7eb", labelLimit=240)
    )
    return made
