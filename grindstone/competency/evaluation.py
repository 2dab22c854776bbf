"""Scoring an agent: `CompetencyEval(domains, base, dependency).run()`."""

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, NonNegativeFloat

from grindstone.base import Frozen
from grindstone.competency.checking import Domains, check_base, check_domains, number
from grindstone.competency.graph import DependencyGraph, Pairs
from grindstone.competency.score import Vector, score
from grindstone.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LEVEL = 0.02
"""Below this distance between mean level and balanced index the domains count as level."""


class TrainingAction(Frozen):
    """What to train, and why."""

    domain: str
    priority: NonNegativeFloat
    deficit: NonNegativeFloat
    reason: str


class CompetencyResult(Frozen):
    """The scores of one agent.

    A domain whose competency is unknown (None) keeps its place: the index counts it as 0, so
    a measurement that fails can lower the index and never raise it. `index_if_mastered`
    says how far up the unknown ones could carry it.
    """

    base: float
    domains: dict[str, float | None] = Field(description="a_i; None where it is unknown.")
    vertical: float = Field(description="V.")
    crosswise: float = Field(description="C.")
    integrated: float = Field(description="U.")
    maximum: float = Field(description="U_max.")
    index: float = Field(ge=0.0, le=1.0, description="I.")
    index_if_mastered: float = Field(ge=0.0, le=1.0, description="I, unknown ones at the base.")
    balanced_index: float = Field(ge=0.0, le=1.0, description="The concave index.")
    balance_reason: str = Field(description="Why the two indices differ, in a sentence.")
    deficits: dict[str, float | None] = Field(description="δ_i; None where unknown.")
    centrality: dict[str, float] = Field(description="κ̂_i, from 0 to 1.")
    priority: dict[str, float | None] = Field(description="P_i; None where unknown.")

    @property
    def unknown(self) -> tuple[str, ...]:
        """The domains without a competency."""
        return tuple(name for name, value in self.domains.items() if value is None)

    def weakest_domain(self) -> str | None:
        """Return the known domain of the lowest competency; of equals, the higher priority."""
        known = [(value, name) for name, value in self.domains.items() if value is not None]
        if not known:
            return None
        return min(known, key=lambda each: (each[0], -(self.priority[each[1]] or 0.0)))[1]

    def actions(self, deficit_threshold: float = 0.0) -> list[TrainingAction]:
        """Return what to train: deficits above 0 and at or above the threshold, most urgent first.

        An unknown domain is none of them: it is to be measured, not trained.
        """
        threshold = number("deficit_threshold", deficit_threshold, low=0.0, high=self.base)
        found = [
            TrainingAction(
                domain=name,
                priority=self.priority[name] or 0.0,
                deficit=deficit,
                reason=self._reason(name, deficit),
            )
            for name, deficit in self.deficits.items()
            if deficit is not None and deficit > 0.0 and deficit >= threshold
        ]
        return sorted(found, key=lambda action: -action.priority)

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print index, weakest domain and first priority, on a few lines."""
        _print_summary(self, console)

    def print_results(self, console: "Console | None" = None) -> None:
        """Print every domain with its deficit, centrality and priority, as a table."""
        _print_results(self, console)

    def _reason(self, name: str, deficit: float) -> str:
        told = f"{self.domains[name]:g} of {self.base:g}, {deficit:g} short of mastery"
        weight = self.centrality[name]
        if weight >= 1.0:
            return f"{told}; no domain is more entwined with the others"
        return f"{told}; centrality {weight:.2f}" if weight > 0 else told


class CompetencyEval:
    """One agent's domains, ready to be scored."""

    def __init__(
        self,
        domains: Domains,
        base: float = 10.0,
        dependency: "Pairs | Vector | DependencyGraph | None" = None,
        *,
        default_weight: float = 1.0,
        centrality_weight: float = 1.0,
    ) -> None:
        """Check everything given.

        Args:
            domains: Competency per domain, from 0 to `base`; None: unknown.
            base: The scale's upper end.
            dependency: Weights of pairs of domains, or a matrix, or a graph made before.
            default_weight: Of pairs not listed.
            centrality_weight: λ, how much centrality amplifies a deficit.

        Raises:
            InputError: Naming the domain, pair or argument at fault.
        """
        self.base = check_base(base)
        self.domains = check_domains(domains, self.base)
        self.centrality_weight = number("centrality_weight", centrality_weight, low=0.0, high=1e9)
        if isinstance(dependency, DependencyGraph):
            if dependency.names != tuple(self.domains):
                raise InputError("dependency", "is of other domains", "a graph of these, in order")
            self.graph = dependency
        else:
            self.graph = DependencyGraph(
                tuple(self.domains), dependency, default_weight=default_weight
            )

    def run(self) -> CompetencyResult:
        """Return the scores."""
        values = list(self.domains.values())
        known = np.array([value is not None for value in values])
        levels = np.array([0.0 if value is None else value for value in values])
        found = score(levels, self.graph, base=self.base, centrality_weight=self.centrality_weight)
        best = found
        if not known.all():
            best = score(np.where(known, levels, self.base), self.graph, base=self.base)
        return CompetencyResult(
            base=self.base,
            domains=self.domains,
            vertical=found.vertical,
            crosswise=found.crosswise,
            integrated=found.integrated,
            maximum=found.maximum,
            index=found.mastery,
            index_if_mastered=best.mastery,
            balanced_index=found.balanced_index,
            balance_reason=self._balance(levels, found.balanced_index),
            deficits=self._where(found.deficits),
            centrality=dict(zip(self.domains, found.centrality.tolist(), strict=True)),
            priority=self._where(found.priority),
        )

    def recommend_actions(self, deficit_threshold: float = 0.0) -> list[TrainingAction]:
        """Return what to train, most urgent first; see `CompetencyResult.actions`."""
        return self.run().actions(deficit_threshold)

    def _where(self, values: Vector) -> dict[str, float | None]:
        return {
            name: None if self.domains[name] is None else value
            for name, value in zip(self.domains, values.tolist(), strict=True)
        }

    def _balance(self, levels: Vector, balanced: float) -> str:
        mean = float(levels.mean()) / self.base
        if mean - balanced < LEVEL:
            return f"the domains are level: balanced {balanced:.1%}, mean level {mean:.1%}"
        name = self.graph.names[int(levels.argmin())]
        low = "unknown, counted as 0" if self.domains[name] is None else f"{levels.min():g}"
        return (
            f"balanced {balanced:.1%} against a mean level of {mean:.1%}: "
            f"{name} ({low} of {self.base:g}) holds it down, and depth elsewhere cannot make up"
        )


def _print_summary(result: CompetencyResult, console: "Console | None" = None) -> None:
    from rich.console import Console

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


def _domain_table(result: CompetencyResult) -> "Table":
    from rich.table import Table

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


def _print_results(result: CompetencyResult, console: "Console | None" = None) -> None:
    from rich.console import Console

    out = console or Console()
    _print_summary(result, out)
    out.print(_domain_table(result))
    out.print(
        f"V {result.vertical:.2f}   C {result.crosswise:.2f}   U {result.integrated:.2f}   "
        f"U_max {result.maximum:.2f}"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
