"""The knowledge graph: dated facts with their sources, and what can be computed from them."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.graduation.constitution.facts import Fact, Facts, Node, Source

if TYPE_CHECKING:
    import networkx as nx


ORDINARY = "general-goods"
"""The item that bears every tax its place levies."""

REMEMBERED = 1000
"""Texts whose names are kept, since the rules of a pack ask for the same ones."""


class Found(NamedTuple):
    """A value from the graph and the facts it was made of."""

    value: float
    because: str


class Taxes(NamedTuple):
    """The sales taxes on a supply, by name; a tax it is free of has the rate 0."""

    rates: dict[str, float]
    because: str
    missing: tuple[str, ...] = ()  # what would have to be stated to exclude the other ways


class Particulars(Frozen):
    """What is stated of a sale, for facts that ask for it."""

    numbers: dict[str, float] = {}
    words: dict[str, str] = Field({}, description="Particular → node, empty where it is unknown.")

    def meets(self, name: str, asked: str | float) -> bool | None:
        """Whether the sale is as a fact asks; None where that is not stated."""
        if isinstance(asked, str):
            given = self.words.get(name, "")
            return given == asked if given else None
        number = self.numbers.get(name)
        return None if number is None else number >= asked


class Knowledge:
    """A graph over one or more facts files."""

    def __init__(self, *files: Facts) -> None:
        self.files = files
        self._seen: dict[tuple[str, str], frozenset[str]] = {}

    @cached_property
    def graph(self) -> "nx.MultiDiGraph[str]":
        """The facts as a directed graph; an edge's key is its relation."""
        import networkx as nx

        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for file in self.files:
            for node in file.nodes:
                graph.add_node(node.id, node=node)
            for fact in file.facts:
                graph.add_edge(
                    fact.subject,
                    fact.object,
                    relation=fact.relation,
                    fact=fact,
                    source=file.sources[fact.source],
                )
        return graph

    @property
    def digest(self) -> str:
        """The graph by content."""
        return digest([file.model_dump(mode="json") for file in self.files])

    @cached_property
    def _names(self) -> tuple[tuple[re.Pattern[str], Node], ...]:
        found = []
        for file in self.files:
            for node in file.nodes:
                for name in (node.label, *node.names):
                    if name:
                        words = rf"(?<!\w){re.escape(name)}(?!\w)"
                        if name.isupper():
                            # ON is a word of SQL and of shouting too: only its place tells.
                            words = rf"(?:^|[,:\"(]\s*|\b(?:in|for|to|from|at|of)\s+){words}"
                        found.append((re.compile(words, 0 if name.isupper() else re.I), node))
        return tuple(found)

    def named(self, text: str, kind: str) -> frozenset[str]:
        """Return the nodes of a kind that a text names."""
        key = (text, kind)
        if key not in self._seen:
            if len(self._seen) > REMEMBERED:
                self._seen.clear()
            self._seen[key] = frozenset(
                node.id
                for pattern, node in self._names
                if node.kind == kind and pattern.search(text)
            )
        return self._seen[key]

    def names_of(self, node_id: str) -> tuple[str, ...]:
        """Return the words by which a node is meant."""
        return tuple(
            name
            for file in self.files
            for node in file.nodes
            if node.id == node_id
            for name in (node.label, *node.names)
            if name
        )

    def facts(self, subject: str, relation: str, day: dt.date) -> list[tuple[Fact, Source]]:
        """Return the facts about a subject that hold on a day."""
        if subject not in self.graph:
            return []
        return [
            (data["fact"], data["source"])
            for _, _, data in self.graph.out_edges(subject, data=True)
            if data["relation"] == relation and data["fact"].holds(day)
        ]

    def region_of(self, place: str, day: dt.date) -> str:
        """Return the taxing region a place lies in: itself, when it levies a tax."""
        seen: set[str] = set()
        while place and place not in seen:
            seen.add(place)
            if self.facts(place, "levies", day):
                return place
            place = next((fact.object for fact, _ in self.facts(place, "lies_in", day)), "")
        return ""

    def kinds_of(self, item: str, day: dt.date) -> frozenset[str]:
        """Return an item with everything it is a kind of."""
        found: set[str] = set()
        waiting = [item]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += [fact.object for fact, _ in self.facts(each, "is_a", day)]
        return frozenset(found)

    def named_exactly(self, text: str, kind: str) -> str:
        """Return the node of a kind that a text is the name of, in the singular or plural."""
        plain = " ".join(text.casefold().replace("-", " ").replace("_", " ").split())
        for file in self.files:
            for node in file.nodes:
                if node.kind != kind:
                    continue
                names = {name.casefold() for name in (node.label, *node.names) if name}
                names.add(node.id.casefold().replace("-", " "))
                if plain in names or plain.removesuffix("s") in names:
                    return node.id
        return ""

    def taxes(
        self, place: str, item: str, day: dt.date, particulars: "Particulars | None" = None
    ) -> tuple[Taxes, ...] | None:
        """Return the sales taxes that may be due, one entry for each way the facts may apply.

        Args:
            place: A node such as a province or a town.
            item: A node such as farm-equipment; empty for ordinary goods.
            day: When the supply is made.
            particulars: What is stated of the sale beyond place and item.

        Returns:
            One entry when everything a fact asks for is stated; None when the facts do not
            reach back to the day, the place levies no tax, or nothing is known of the item.
        """
        region = self.region_of(place, day)
        if not region or not self._reaches(region, day):
            return None
        if item and not self._is_settled(item, day):
            return None
        stated = particulars or Particulars()
        unknown: dict[str, str | float] = {}
        for kind in sorted(self.kinds_of(item, day)) if item else ():
            for relation in ("is_a", "free_of"):
                for fact, _ in self.facts(kind, relation, day):
                    if fact.where in ("", region):
                        unknown |= {
                            k: v for k, v in fact.asks.items() if stated.meets(k, v) is None
                        }
        found: dict[tuple[tuple[str, float], ...], Taxes] = {}
        for guess in product((True, False), repeat=len(unknown)):
            assumed = dict(zip(unknown, guess, strict=True))
            taxes = self._taxes(region, item, day, stated, assumed)
            found.setdefault(tuple(sorted(taxes.rates.items())), taxes)
        missing = tuple(sorted(unknown)) if len(found) > 1 else ()
        return tuple(each._replace(missing=missing) for each in found.values())

    def _reaches(self, region: str, day: dt.date) -> bool:
        """Whether the facts know each of a region's taxes on a day."""
        first: dict[str, dt.date] = {}
        for _, _, data in self.graph.out_edges(region, data=True):
            if data["relation"] == "levies":
                since = data["fact"].since or dt.date.min
                tax = data["fact"].object
                first[tax] = min(since, first.get(tax, since))
        return all(since <= day for since in first.values())

    def _is_settled(self, item: str, day: dt.date) -> bool:
        kinds = self.kinds_of(item, day)
        return ORDINARY in kinds or any(self.facts(kind, "free_of", day) for kind in kinds)

    def _taxes(
        self,
        region: str,
        item: str,
        day: dt.date,
        stated: "Particulars",
        assumed: Mapping[str, bool],
    ) -> Taxes:
        def holds(fact: Fact) -> bool:
            return all(
                stated.meets(name, asked)
                if stated.meets(name, asked) is not None
                else assumed.get(name, False)
                for name, asked in fact.asks.items()
            )

        free: dict[str, str] = {}
        for kind in sorted(self._kinds(item, day, holds)) if item else ():
            for fact, source in self.facts(kind, "free_of", day):
                if fact.where in ("", region) and holds(fact):
                    free[fact.object] = f"{kind} is free of {fact.object} ({source.title})"
        rates: dict[str, float] = {}
        because = []
        for fact, source in self.facts(region, "levies", day):
            rates[fact.object] = 0.0 if fact.object in free else fact.rate or 0.0
            because.append(
                free.get(fact.object)
                or f"{region} levies {fact.object} {fact.rate:.3%} ({source.title})"
            )
        return Taxes(rates, "; ".join(because))

    def _kinds(self, item: str, day: dt.date, holds: Callable[[Fact], bool]) -> set[str]:
        found: set[str] = set()
        waiting = [item]
        while waiting:
            each = waiting.pop()
            if each not in found:
                found.add(each)
                waiting += [f.object for f, _ in self.facts(each, "is_a", day) if holds(f)]
        return found

    def sales_tax_rate(self, place: str, item: str, day: dt.date) -> Found | None:
        """Return the whole sales tax on an item; None when the facts do not settle it."""
        found = self.taxes(place, item, day)
        if found is None or len(found) > 1:
            return None
        return Found(round(sum(found[0].rates.values()), 6), found[0].because)


class Function(NamedTuple):
    """What a numeric rule may compute its expectation with."""

    arguments: tuple[str, ...]
    """What it takes; the first is needed."""
    compute: Callable[[Knowledge, Mapping[str, str], dt.date], Found | None]


def _sales_tax(knowledge: Knowledge, given: Mapping[str, str], day: dt.date) -> Found | None:
    return knowledge.sales_tax_rate(given.get("place", ""), given.get("item", ""), day)


FUNCTIONS: MappingProxyType[str, Function] = MappingProxyType(
    {"sales_tax_rate": Function(("place", "item"), _sales_tax)}
)
"""The functions by the name a rule gives them."""
