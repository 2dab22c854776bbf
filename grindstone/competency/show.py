"""Scores on a terminal."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from grindstone.competency.evaluation import CompetencyResult


def print_summary(result: "CompetencyResult", console: Console | None = None) -> None:
    """Print the figures that matter most, on a few lines."""
    out = console or Console()
    out.print(f"Competency index [bold]{result.index:.1%}[/], balanced {result.balanced_index:.1%}")
    out.print(result.balance_reason, markup=False, highlight=False)
    weakest = result.weakest_domain()
    if weakest is not None:
        out.print(
            f"Weakest: {weakest}, {result.domains[weakest]:g} of {result.base:g}", markup=False
        )
    if result.unknown:
        out.print(
            f"Unknown, counted as 0: {', '.join(result.unknown)} "
            f"(at most {result.index_if_mastered:.1%} once they are measured)",
            markup=False,
        )


def domain_table(result: "CompetencyResult") -> Table:
    """Return every domain with its numbers, the most urgent first."""
    table = Table(title=f"Competency, base {result.base:g}", title_justify="left")
    table.add_column("domain")
    for name in ("competency", "deficit", "centrality", "priority"):
        table.add_column(name, justify="right")
    order = sorted(result.domains, key=lambda name: -(result.priority[name] or 0.0))
    for name in order:
        cells = (result.domains[name], result.deficits[name])
        table.add_row(
            name,
            *("unknown" if value is None else f"{value:.2f}" for value in cells),
            f"{result.centrality[name]:.2f}",
            _number(result.priority[name]),
        )
    return table


def print_results(result: "CompetencyResult", console: Console | None = None) -> None:
    """Print the summary, every domain, and the parts of the index."""
    out = console or Console()
    print_summary(result, out)
    out.print(domain_table(result))
    out.print(
        f"V {result.vertical:.2f}   C {result.crosswise:.2f}   U {result.integrated:.2f}   "
        f"U_max {result.maximum:.2f}"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
