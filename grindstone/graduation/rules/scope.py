"""Which episodes a policy looks at: by tag, topic, title pattern or metadata field."""

import re
from typing import TYPE_CHECKING

from pydantic import Field, JsonValue, field_validator

from grindstone.base import Frozen

if TYPE_CHECKING:
    import polars as pl

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class Scope(Frozen):
    """A selection of episodes; every condition that is given must hold, all are optional."""

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
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from error
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
        return value

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Scope()

    def expression(self) -> "pl.Expr":
        """Return the condition over the ledger's `episodes` columns."""
        import polars as pl

        found = pl.lit(True)
        for tag in self.tags:
            found &= pl.col("tags").list.contains(tag).fill_null(False)
        for topic in self.topics:
            found &= pl.col("topics").list.contains(topic).fill_null(False)
        if self.title is not None:
            found &= pl.col("title").str.contains(self.title).fill_null(False)
        for name, wanted in self.metadata.items():
            text = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)
            found &= pl.col("metadata").str.json_path_match(f"$.{name}").fill_null("") == text
        return found

    def describe(self) -> str:
        """Return the scope in words."""
        parts = [f"tag {tag}" for tag in self.tags] + [f"topic {topic}" for topic in self.topics]
        if self.title is not None:
            parts.append(f"title like /{self.title}/")
        parts += [f"{name} = {value}" for name, value in self.metadata.items()]
        return " and ".join(parts) or "all episodes"
