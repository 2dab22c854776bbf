"""A facts file: nodes (a province, a kind of goods, a tax) and dated facts between them.

Each fact says since when it holds, until when, and where it is written; a fact without a source,
one that nothing reads and one that contradicts another are refused.
"""

import datetime as dt
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from grindstone.base import Frozen, PlainNumbers
from grindstone.graduation.rules.files import input_error, read_yaml

Relation = Literal["levies", "lies_in", "is_a", "free_of"]
KINDS: MappingProxyType[Relation, tuple[str, str]] = MappingProxyType(
    {
        "levies": ("place", "tax"),
        "lies_in": ("place", "place"),
        "is_a": ("item", "item"),
        "free_of": ("item", "tax"),
    }
)
"""Of what kind a relation's subject and object are."""
NUMBERS = ("power_kw",)
WORDS = ("buyer", "supply")
"""What may be stated of a sale beyond place and item: numbers, and nodes of that kind."""


class Source(Frozen, PlainNumbers):
    """Where a fact is written."""

    title: str
    url: str = ""
    as_of: dt.date = Field(description="When it was last compared with its source.")


class Node(Frozen, PlainNumbers):
    """A thing facts speak of."""

    id: str
    kind: str
    label: str = ""
    names: tuple[str, ...] = Field((), description="Words by which a text means it.")


class Fact(Frozen, PlainNumbers):
    """One sentence: subject, relation, object."""

    subject: str
    relation: Relation
    object: str
    rate: float | None = Field(None, ge=0.0, le=1.0)
    where: str = Field("", description="The place it is limited to; empty: everywhere.")
    asks: dict[str, str | float] = Field(
        {},
        description="What must be so of the sale: a number is the least there must be (power_kw), "
        "a word the node that must be named (buyer). Not stated: the fact may hold or not.",
    )
    since: dt.date | None = None
    until: dt.date | None = Field(None, description="The first day it no longer holds.")
    source: str
    note: str = ""

    @model_validator(mode="after")
    def _is_read(self) -> "Fact":
        if (self.rate is None) == (self.relation == "levies"):
            raise ValueError("rate: belongs to what a place levies, and to nothing else")
        if self.where and self.relation != "free_of":
            raise ValueError("where: belongs to what is free of a tax, and to nothing else")
        if self.asks and self.relation not in ("free_of", "is_a"):
            raise ValueError(f"asks: nothing is asked of {self.relation}")
        for name, asked in self.asks.items():
            if name not in (WORDS if isinstance(asked, str) else NUMBERS):
                known = f"a number of {', '.join(NUMBERS)}, a node of {' or '.join(WORDS)}"
                raise ValueError(f"asks: {name} {asked!r} is stated of no sale; {known} is")
        if self.since and self.until and self.since >= self.until:
            raise ValueError(f"until: is {self.until}, and it holds since {self.since}")
        return self

    def overlaps(self, other: "Fact") -> bool:
        """Whether both are in force on some day."""
        first, last = dt.date.min, dt.date.max
        return (self.since or first) < (other.until or last) and (other.since or first) < (
            self.until or last
        )

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
        kinds = {node.id: node.kind for node in self.nodes}
        ids = [node.id for node in self.nodes]
        if twice := {each for each in ids if ids.count(each) > 1}:
            raise ValueError(f"two nodes are called {min(twice)}")
        for fact in self.facts:
            if fact.source not in self.sources:
                raise ValueError(f"{fact.subject} {fact.relation} {fact.object}: no such source")
            asked = (each for each in fact.asks.values() if isinstance(each, str))
            for name in (fact.subject, fact.object, fact.where, *asked):
                if name and name not in kinds:
                    raise ValueError(f"{fact.subject} {fact.relation}: {name!r} is no node")
            ends = KINDS[fact.relation]
            words = [(each, name) for name, each in fact.asks.items() if isinstance(each, str)]
            where = [(fact.where, "place")] if fact.where else []
            for name, kind in [(fact.subject, ends[0]), (fact.object, ends[1]), *where, *words]:
                if kinds[name] != kind:
                    raise ValueError(f"{fact.subject} {fact.relation}: {name} is no {kind}")
        self._contradicts()
        return self

    def _contradicts(self) -> None:
        seen: dict[tuple[str, ...], list[Fact]] = {}
        for fact in self.facts:
            if fact.relation in ("levies", "lies_in"):
                one = (fact.object,) if fact.relation == "levies" else ()
                earlier = seen.setdefault((fact.subject, fact.relation, *one), [])
                if any(fact.overlaps(each) for each in earlier):
                    said = f"{fact.subject} {fact.relation} {fact.object}"
                    raise ValueError(f"{said}: twice at once; the days of one are to end")
                earlier.append(fact)


def load_facts(path: Path) -> Facts:
    """Read a facts file.

    Raises:
        InputError: It cannot be used; names the field and what was expected.
    """
    try:
        return Facts.model_validate(read_yaml(path))
    except ValidationError as error:
        raise input_error(path, error, "facts as docs/graduation.md describes them") from error
