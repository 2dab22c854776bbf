"""The orders a run was given, as a section of its report."""

from collections.abc import Sequence

from grindstone.report.words import table
from grindstone.steering import GivenOrder
from grindstone.text import second


def orders_section(orders: Sequence[GivenOrder]) -> str:
    """Return the orders as Markdown; empty where there were none."""
    if not orders:
        return ""
    rows = [[second(each.at), each.by, each.via, ", ".join(each.words)] for each in orders]
    return "## Orders\n\nWhat the run was told while it went on.\n\n" + table(
        ("at (UTC)", "by", "via", "order"), rows
    )
