"""From a frozen record's annotations to parquet columns, and back.

One rule per kind of annotation, so that a table's schema is the record itself:

- text, whole numbers, numbers, flags and enums become the plain column type;
- times become microseconds in UTC;
- tuples become lists, nested records become structs;
- dictionaries and free JSON become JSON text;
- `Usage` is laid out flat, one column per kind of token; outside a field called `usage`
  the columns bear the field's name in front, as `lost_input_tokens` does.
"""

import json
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AwareDatetime, BaseModel, JsonValue

from grindstone.digest import canonical_json
from grindstone.records import Usage

if TYPE_CHECKING:
    import polars as pl

KindName = Literal["text", "integer", "number", "flag", "time", "json", "list", "record"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column holds; lists have one unnamed part, records one part per field."""

    name: KindName
    parts: tuple[tuple[str, "Kind"], ...] = ()

    @property
    def inner(self) -> "Kind":
        """The kind of a list's items."""
        return self.parts[0][1]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table and where its values come from.

    `path` holds the attribute's name, or two names where a nested record is laid flat.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    nullable: bool
    derived: bool = False
    about: str = ""


def kind_of(annotation: object) -> tuple[Kind, bool]:
    """Return the kind of an annotation, and whether None is among its values.

    Raises:
        TypeError: The annotation has no column type; this is a fault of the row class.
    """
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin = get_origin(annotation)
    if annotation is not JsonValue and origin in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return kind_of(members[0])[0], True
    if origin is tuple:
        return Kind("list", (("", kind_of(get_args(annotation)[0])[0]),)), False
    return _plain(annotation, origin), False


def _plain(annotation: object, origin: object) -> Kind:
    if annotation is JsonValue or origin is dict or annotation is dict:
        return Kind("json")
    if origin is Literal:
        annotation = type(get_args(annotation)[0])
    if annotation is AwareDatetime or annotation is datetime:
        return Kind("time")
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            fields = annotation.model_fields.items()
            return Kind(
                "record", tuple((name, kind_of(field.annotation)[0]) for name, field in fields)
            )
        scalars: tuple[tuple[type, KindName], ...] = (
            (bool, "flag"),
            (IntEnum, "integer"),
            (int, "integer"),
            (float, "number"),
            (str, "text"),
        )
        for base, name in scalars:
            if issubclass(annotation, base):
                return Kind(name)
    raise TypeError(f"{annotation!r} has no column type; expected a plain value, tuple or record")


@cache
def columns_of(row: type[BaseModel], derived: tuple[str, ...] = ()) -> tuple[Column, ...]:
    """Return a row class's columns, in the order of its fields, derived ones last."""
    columns: list[Column] = []
    for name, field in row.model_fields.items():
        flat = _usage_in(field.annotation)
        if flat is None:
            kind, nullable = kind_of(field.annotation)
            columns.append(Column(name, (name,), kind, nullable, about=field.description or ""))
            continue
        for part, inner in Usage.model_fields.items():
            label = part if name == "usage" else f"{name}_{part}"
            about = inner.description or f"{part.replace('_', ' ').capitalize()}."
            columns.append(Column(label, (name, part), Kind("integer"), flat, about=about))
    for name in derived:
        getter = getattr(row, name).fget
        kind, nullable = kind_of(get_type_hints(getter)["return"])
        about = (getter.__doc__ or "").strip().splitlines()[0]
        columns.append(Column(name, (name,), kind, nullable, derived=True, about=about))
    return tuple(columns)


def _usage_in(annotation: object) -> bool | None:
    """Whether an annotation is an optional `Usage`; None when it is no usage at all."""
    if annotation is Usage:
        return False
    return True if Usage in get_args(annotation) else None


def polars_type(kind: Kind) -> "pl.DataType":
    """Return the column type a kind is stored as."""
    import polars as pl

    if kind.name == "list":
        return pl.List(polars_type(kind.inner))
    if kind.name == "record":
        return pl.Struct({name: polars_type(part) for name, part in kind.parts})
    plain: dict[str, pl.DataType] = {
        "text": pl.String(),
        "json": pl.String(),
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "flag": pl.Boolean(),
        "time": pl.Datetime("us", "UTC"),
    }
    return plain[kind.name]


def encode(value: Any, kind: Kind) -> Any:  # noqa: PLR0911 - any field's value goes through
    """Return a value as polars takes it."""
    if value is None:
        return None
    if kind.name == "json":
        return canonical_json(value)
    if kind.name == "list":
        return [encode(item, kind.inner) for item in value]
    if kind.name == "record":
        return {name: encode(getattr(value, name), part) for name, part in kind.parts}
    if kind.name == "time":
        return value.astimezone(UTC)
    if kind.name == "text":
        # Half a surrogate pair is legal in a Python string and nowhere else.
        return str(value).encode("utf-8", "replace").decode()
    return int(value) if kind.name == "integer" else value


def decode(value: Any, kind: Kind) -> Any:
    """Return a stored value as the row class takes it."""
    if value is None:
        return None
    if kind.name == "json":
        return json.loads(value)
    if kind.name == "list":
        return tuple(decode(item, kind.inner) for item in value)
    if kind.name == "record":
        return {name: decode(value[name], part) for name, part in kind.parts}
    return value


def value_of(row: BaseModel, column: Column) -> Any:
    """Return what a row holds for a column, encoded."""
    value: Any = row
    for name in column.path:
        if value is None:
            return None
        value = getattr(value, name)
    return encode(value, column.kind)


def row_from(
    row: type[BaseModel], columns: Sequence[Column], record: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the field values of one stored record, ready for validation.

    A column that an older part lacks is null; its field then takes its default.
    """
    values: dict[str, Any] = {}
    for column in columns:
        if column.derived:
            continue
        value = decode(record[column.name], column.kind)
        if value is None and (len(column.path) > 1 or not column.nullable):
            continue
        if len(column.path) > 1:
            values.setdefault(column.path[0], {})[column.path[1]] = value
        else:
            values[column.name] = value
    return values
