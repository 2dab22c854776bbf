"""A part of an agent's work: by category, capability, tag, topic, title or metadata field.

Policies say by it which episodes count, and a level earned by such a policy holds for that part.
"""

import json
import re
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, JsonValue, field_validator

from grindstone.base import Frozen, PlainNumbers

if TYPE_CHECKING:
    import polars as pl

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class Subject(NamedTuple):
    """What a piece of work is about, as a scope looks at it."""

    category: str = ""
    tags: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    title: str = ""
    metadata: Mapping[str, JsonValue] = MappingProxyType({})


class Scope(Frozen, PlainNumbers):
    """A selection of episodes; every condition that is given must hold, all are optional."""

    categories: tuple[str, ...] = Field((), description="One of these categories (domains).")
    capabilities: tuple[str, ...] = Field(
        (), description="One of these capabilities: the metadata's, else the category."
    )
    tags: tuple[str, ...] = Field((), description="Each of these tags.")
    topics: tuple[str, ...] = Field((), description="Each of these topics.")
    title: str | None = Field(None, description="Regular expression found in the title.")
    metadata: dict[str, JsonValue] = Field(
        {}, description="Dotted field of the metadata → its value."
    )

    @field_validator("title")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            # Those of the ledger's own engine, which has no look-around and no back-references.
            import polars as pl

            try:
                pl.Series([""]).str.contains(value)
            except pl.exceptions.ComputeError as error:
                why = [line for line in str(error).splitlines() if line.startswith("error: ")]
                said = (why or [str(error)])[0].removeprefix("error: ")
                raise ValueError(f"is no regular expression: {said}") from error
        return value

    @field_validator("metadata")
    @classmethod
    def _names_fields(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name, wanted in value.items():
            if not _FIELD.fullmatch(name):
                raise ValueError(f"{name!r} is no dotted field name")
            if not isinstance(wanted, str | int | float | bool):
                raise ValueError(  # noqa: TRY004 - pydantic reports value errors alone
                    f"{name}: a text, number or truth value is compared"
                )
            if isinstance(wanted, int | float) and not abs(wanted) <= sys.float_info.max:
                raise ValueError(f"{name}: is no number that the ledger knows")
        return value

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Scope()

    def expression(self) -> "pl.Expr":
        """Return the condition over the ledger's `episodes` columns."""
        import polars as pl

        found = pl.lit(True)
        if self.categories:
            found &= pl.col("category").is_in(self.categories).fill_null(False)
        if self.capabilities:
            named = pl.col("metadata").str.json_path_match("$.capability").fill_null("")
            used = pl.when(named != "").then(named).otherwise(pl.col("category"))
            found &= used.is_in(self.capabilities).fill_null(False)
        for tag in self.tags:
            found &= pl.col("tags").list.contains(tag).fill_null(False)
        for topic in self.topics:
            found &= pl.col("topics").list.contains(topic).fill_null(False)
        if self.title is not None:
            found &= pl.col("title").str.contains(self.title).fill_null(False)
        for name, wanted in self.metadata.items():
            given = pl.col("metadata").str.json_path_match(f"$.{name}")
            if isinstance(wanted, int | float) and not isinstance(wanted, bool):
                same = given.cast(pl.Float64, strict=False) == float(wanted)
            else:
                same = given.fill_null("") == pl.lit(
                    str(wanted).lower() if isinstance(wanted, bool) else wanted
                )
            found &= same.fill_null(False)
        return found

    def holds(self, subject: Subject) -> bool:
        """Tell whether a piece of work belongs to it, by the very condition of `expression`."""
        if self.everything:
            return True
        import polars as pl

        row = subject._asdict() | {
            "tags": list(subject.tags),
            "topics": list(subject.topics),
            "metadata": json.dumps(dict(subject.metadata)),
        }
        texts = pl.List(pl.String)
        frame = pl.DataFrame([row], schema_overrides={"tags": texts, "topics": texts})
        return bool(frame.select(self.expression()).item())

    def describe(self) -> str:
        """Return the scope in words."""
        parts = [
            f"{name} {' or '.join(wanted)}"
            for name, wanted in (
                ("category", self.categories),
                ("capability", self.capabilities),
            )
            if wanted
        ]
        parts += [f"tag {tag}" for tag in self.tags] + [f"topic {topic}" for topic in self.topics]
        if self.title is not None:
            parts.append(f"title like /{self.title}/")
        parts += [f"{name} = {value}" for name, value in self.metadata.items()]
        return " and ".join(parts) or "all episodes"
