"""How the report's numbers are put into words and tables."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from grindstone.gate.exact import at_most
from grindstone.ledger.intervals import Interval
from grindstone.text import count, one_line

if TYPE_CHECKING:
    from grindstone.report.model import IncidentLine


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a Markdown table; columns named in `numbers` are set to the right."""
    rule = [("---:" if i in numbers else "---") for i in range(len(head))]
    lines = [head, rule, *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Return text that cannot break out of its table cell, nor have the page load a picture."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return one_line(escaped.replace("![", "!\\["))


def lost(incidents: Sequence["IncidentLine"]) -> str:
    """Return what was lost to internal errors, a line each; empty when nothing was."""
    if not incidents:
        return ""
    lines = [f"  {each.step}: {each.error}" for each in incidents]
    return "\n".join([f"{count(len(incidents), 'internal error')}:", *lines])


def were(n: int) -> str:
    """Return the verb for a number."""
    return "was" if n == 1 else "were"


def forged(paid: int, of: int) -> str:
    """Return how many attempts were paid for nothing, with the exact one-sided 95% limit."""
    return f"forged {paid} of {of}, at most {at_most(paid, of):.1%} (95%)"


def percent(ratio: float | None) -> str:
    """Return a ratio in per cent; a dash where there is none."""
    return "-" if ratio is None else f"{ratio:.0%}"


def span(interval: Interval | None) -> str:
    """Return a 95% interval of a rate in words."""
    return f"95% interval {interval.low:.0%} to {interval.high:.0%}" if interval else ""


NOTHING = "nothing"
"""What a rehearsal costs, unless its tokens were priced as somebody's; and who asks no model."""


def money(cost: float | None, unpriced: int = 0, *, rehearsal: bool = False) -> str:
    """Return dollars; says where a price is unknown, and where a rehearsal cost nothing."""
    if not cost and not unpriced:
        return NOTHING if rehearsal or cost is not None else "-"
    if cost is None:
        return "price unknown"
    return f"${cost:,.4f}" + (f" + price unknown of {count(unpriced, 'call')}" if unpriced else "")


def attempt_cost(cost: float | None, tokens: int, *, rehearsal: bool) -> str:
    """Return dollars of attempts as `money` does.

    Args:
        cost: Theirs; None: a price is unknown, or nothing was asked.
        tokens: How many they used.
        rehearsal: Whether a local program stood in for the model.
    """
    return money(cost, int(cost is None and tokens > 0 and not rehearsal), rehearsal=rehearsal)


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def points(ratio: float | None) -> str:
    """Return a difference of ratios in points, with its sign; a dash where there is none."""
    return "-" if ratio is None else f"{100 * ratio:+.0f}"
