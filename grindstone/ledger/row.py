"""What a table is: a frozen row class, its key, and the columns derived from it."""

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import BaseModel

from grindstone.base import Frozen
from grindstone.errors import GrindstoneError
from grindstone.ledger.columns import Column, Kind, columns_of, polars_type
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode, Outcome

if TYPE_CHECKING:
    import polars as pl


class LedgerError(GrindstoneError):
    """The ledger cannot be read, or was given rows it cannot keep; the message names the file."""


class Row(Frozen):
    """Base of the row classes; a subclass names its table and its key.

    The key never holds a time of writing: the same fact written twice is one row.
    Every table is kept per run, and `run_key` is part of every key.
    """

    table: ClassVar[str]
    key: ClassVar[tuple[str, ...]]
    derived: ClassVar[tuple[str, ...]] = ()
    weak: ClassVar["Placeholder | None"] = None


class Placeholder(NamedTuple):
    """Rows with this value give way to any other row of their key."""

    column: str
    value: str


class Placement(NamedTuple):
    """Table, key and derived columns of a row class that other rooms own."""

    table: str
    key: tuple[str, ...]
    derived: tuple[str, ...] = ()
    weak: Placeholder | None = None


RECORDS: MappingProxyType[type[BaseModel], Placement] = MappingProxyType(
    {
        # An attempt that infrastructure spoiled is made again under the same id.
        Episode: Placement(
            "episodes",
            ("episode_id",),
            ("duration_s", "passed"),
            Placeholder("outcome", Outcome.ERROR.value),
        ),
        CallRecord: Placement("calls", ("call_id",)),
    }
)
"""The shared records that are rows as they stand."""


@dataclass(frozen=True, slots=True)
class Table:
    """A row class seen as a table."""

    name: str
    row: type[BaseModel]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    about: str
    weak: Placeholder | None = None

    @property
    def holds_run_key(self) -> bool:
        """Whether the rows carry `run_key` themselves."""
        return "run_key" in self.row.model_fields

    @property
    def full_key(self) -> tuple[str, ...]:
        """The key's columns over all runs."""
        return ("run_key", *(name for name in self.key if name != "run_key"))

    def all_columns(self) -> tuple[Column, ...]:
        """Return the stored columns: the row's own, after `run_key` where it lacks that."""
        if self.holds_run_key:
            return self.columns
        run = Column("run_key", ("run_key",), Kind("text"), False, about="The run.")
        return (run, *self.columns)

    def schema(self) -> "pl.Schema":
        """Return the declared column types."""
        import polars as pl

        return pl.Schema({c.name: polars_type(c.kind) for c in self.all_columns()})

    def is_weak(self, row: BaseModel) -> bool:
        """Whether a row gives way to any other of its key."""
        return self.weak is not None and getattr(row, self.weak.column) == self.weak.value


@cache
def table_of(row: type[BaseModel]) -> Table:
    """Return the table a row class belongs to.

    Raises:
        LedgerError: The class is no row class.
    """
    if row in RECORDS:
        place = RECORDS[row]
    elif issubclass(row, Row) and hasattr(row, "table"):
        place = Placement(row.table, row.key, row.derived, row.weak)
    else:
        raise LedgerError(f"{row.__name__}: is no row class; expected a subclass of Row")
    about = " ".join((row.__doc__ or "").strip().split("\n\n")[0].split())
    return Table(place.table, row, place.key, columns_of(row, place.derived), about, place.weak)
