"""The knowledge graph: dated facts with their sources, and what can be computed from them.

A facts file names nodes (a province, a kind of goods, a tax) and facts between them. Each
fact says since when it holds, until when, and where it is written; a fact without a source
is refused.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, ValidationError, model_validator

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.graduation.rules.policy import input_error, read_yaml

if TYPE_CHECKING:
    import networkx as nx


REMEMBERED = 1000
"""Texts whose names are kept, since the rules of a pack ask for the same ones."""


class Source(Frozen):
    """Where a fact is written."""

    title: str
    url: str = ""
    as_of: dt.date = Field(description="When it was last compared with its source.")


class Node(Frozen):
    """A thing facts speak of."""

    id: str
    kind: str
    label: str = ""
    names: tuple[str, ...] = Field((), description="Words by which a text means it.")


class Fact(Frozen):
    """One sentence: subject, relation, object."""

    subject: str
    relation: str
    object: str
    rate: float | None = Field(None, ge=0.0, le=1.0)
    where: str = Field("", description="The place it is limited to; empty: everywhere.")
    since: dt.date | None = None
    until: dt.date | None = Field(None, description="The first day it no longer holds.")
    source: str
    note: str = ""

    def holds(self, day: dt.date) -> bool:
        """Whether it is in force on a day."""
        return (self.since is None or self.since <= day) and (
            self.until is None or day < self.until
        )


class Facts(Frozen):
    """A facts file."""

    name: str
    sources: dict[str, Source]
    nodes: tuple[Node, ...] = ()
    facts: tuple[Fact, ...] = ()

    @model_validator(mode="after")
    def _is_closed(self) -> "Facts":
        known = {node.id for node in self.nodes}
        for fact in self.facts:
            if fact.source not in self.sources:
                raise ValueError(f"{fact.subject} {fact.relation} {fact.object}: no such source")
            for name in (fact.subject, fact.object, fact.where):
                if name and name not in known:
                    raise ValueError(f"{fact.subject} {fact.relation}: {name!r} is no node")
        return self


class Found(NamedTuple):
    """A value from the graph and the facts it was made of."""

    value: float
    because: str


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
                        # An abbreviation such as ON is told from the word only by its case.
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

    def sales_tax_rate(self, place: str, item: str, day: dt.date) -> Found | None:
        """Return the whole sales tax on an item at a place; None when the place levies none.

        Args:
            place: A node such as a province or a town.
            item: A node such as farm-equipment; empty for ordinary goods.
            day: When the supply is made.
        """
        region = self.region_of(place, day)
        if not region:
            return None
        free: dict[str, str] = {}
        for kind in sorted(self.kinds_of(item, day)) if item else ():
            for fact, source in self.facts(kind, "free_of", day):
                if fact.where in ("", region):
                    free[fact.object] = f"{kind} is free of {fact.object} ({source.title})"
        total, because = 0.0, []
        for fact, source in self.facts(region, "levies", day):
            if fact.object in free:
                because.append(free[fact.object])
            else:
                total += fact.rate or 0.0
                because.append(f"{region} levies {fact.object} {fact.rate:.3%} ({source.title})")
        return Found(round(total, 6), "; ".join(because))


Function = Callable[[Knowledge, Mapping[str, str], dt.date], Found | None]


def _sales_tax(knowledge: Knowledge, given: Mapping[str, str], day: dt.date) -> Found | None:
    return knowledge.sales_tax_rate(given.get("place", ""), given.get("item", ""), day)


FUNCTIONS: MappingProxyType[str, Function] = MappingProxyType({"sales_tax_rate": _sales_tax})
"""What a numeric rule may compute its expectation with."""


def load_facts(path: Path) -> Facts:
    """Read a facts file.

    Raises:
        InputError: It cannot be used; names the field and what was expected.
    """
    try:
        return Facts.model_validate(read_yaml(path))
    except ValidationError as error:
        raise input_error(path, error, "facts as docs/graduation.md describes them") from error
