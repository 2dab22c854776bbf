"""Append-only parquet: one part per batch, named by its keys, never changed.

    <home>/ledger/<table>/run=<run_key>/<64 hex digits>.parquet           one batch
    <home>/ledger/<table>/run=<run_key>/merged-<64 hex digits>.parquet    many, by `compaction`

A part is written beside its place, synced, and linked to its name: it is there whole or
not at all, and of two writers of the same rows the first wins. Rows with the same key in
several parts count once, the oldest part's; but a row that is only a stand-in (an episode
without a score) gives way to a full one. Nothing is locked; any number of processes
may write and read at once. In a remote home a part is in storage before it is here.
"""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from pydantic import BaseModel, JsonValue, ValidationError

from grindstone.digest import digest
from grindstone.errors import Cause, InfrastructureError
from grindstone.files import claim
from grindstone.home import Home
from grindstone.ledger.columns import Kind, encode, row_from, value_of
from grindstone.ledger.remote import RemoteParts, merged_names
from grindstone.ledger.row import LedgerError, Table, table_of

if TYPE_CHECKING:
    import polars as pl

R = TypeVar("R", bound=BaseModel)

PART_NAME = re.compile(r"(merged-)?[0-9a-f]{64}\.parquet")
MAGIC = b"PAR1"


class Part(NamedTuple):
    """One file of rows; parts sort by age, then name."""

    written_ns: int
    name: str
    path: Path
    size: int

    @property
    def merged(self) -> bool:
        """Whether `compact` wrote it."""
        return self.name.startswith("merged-")


class Ledger:
    """The rows of all runs and agents below one home folder."""

    def __init__(self, home: Home | Path | str) -> None:
        self.home = Home.at(home)
        self.root = self.home.ledger
        self._remote = None if self.home.mirror is None else RemoteParts(self.home.mirror)

    def append(self, rows: Sequence[BaseModel], *, run_key: str) -> Path | None:
        """Keep rows of one table; keeping the same rows again changes nothing.

        Returns:
            The part that holds them, or None when there were no rows.

        Raises:
            LedgerError: The rows are of several classes, or of another run.
            InfrastructureError: The disk refused (cause `ledger_io`).
        """
        if not rows:
            return None
        table = table_of(type(rows[0]))
        for row in rows:
            self._check_row(table, row, run_key)
        unique: dict[str, BaseModel] = {}
        for row in sorted(rows, key=table.is_weak):
            unique.setdefault(digest(_key_json(table, row)), row)
        names = [f"{key}{'?' * table.is_weak(row)}" for key, row in unique.items()]
        path = self.folder(table.name, run_key) / f"{digest([*sorted(names)])}.parquet"
        if path.exists():
            return path
        content = parquet_bytes(frame_of(table, list(unique.values()), run_key))
        try:
            self.keep(path, content)
        except OSError as error:
            raise InfrastructureError(Cause.LEDGER_IO, f"{path}: {error}") from error
        return path

    def keep(self, path: Path, content: bytes) -> bool:
        """Write a part, whole or not at all; return False where it is there already.

        Raises:
            OSError: The disk refused.
            InfrastructureError: The storage of a remote home did.
        """
        kept = claim(path, content) if self._remote is None else self._remote.keep(path, content)
        sync_folder(path.parent)
        return kept

    def sweep_storage(self, table: str, run_key: str | None, grace_s: float) -> None:
        """Remove from a remote home's storage what merged parts stand for; from a folder, nothing.

        Args:
            table: Its name.
            run_key: Of one run; None: of all, whether this machine has read them or not.
            grace_s: Seconds that a merged part must have been there.

        Raises:
            LedgerError: A merged part is damaged.
            InfrastructureError: The storage did not answer.
        """
        if self._remote is not None:
            folder = self.root / table if run_key is None else self.folder(table, run_key)
            self._remote.sweep(folder, grace_s)

    @staticmethod
    def _check_row(table: Table, row: BaseModel, run_key: str) -> None:
        if type(row) is not table.row:
            raise LedgerError(
                f"{table.name}: a batch holds {type(row).__name__} beside "
                f"{table.row.__name__}; expected rows of one class"
            )
        if table.holds_run_key and getattr(row, "run_key", "") != run_key:
            raise LedgerError(
                f"{table.name}: a row of run {getattr(row, 'run_key', '')!r} was appended "
                f"to run {run_key!r}; expected rows of that run"
            )

    def scan(self, table: str | type[BaseModel], run_key: str | None = None) -> "pl.LazyFrame":
        """Return a table's rows, of one run or of all, each key once.

        The columns are the declared ones, in order, also when there are no rows; a
        column that an older part lacks is null there.

        Raises:
            LedgerError: The table is unknown, or a part is damaged; the message names it.
        """
        import polars as pl

        found = self.table(table)
        if self._remote is not None:
            self._remote.pull(
                self.root / found.name if run_key is None else self.folder(found.name, run_key)
            )
        single: list[Path] = []
        frames: list[pl.LazyFrame] = []
        for run in [run_key] if run_key is not None else self._runs([self.root / found.name]):
            paths = [part.path for part in self.live_parts(found.name, run)]
            if len(paths) == 1:
                single += paths
            elif paths:
                frames.append(self.scan_parts(found, paths))
        if single:
            # Only a run of several parts can hold a key twice, for the run is in the key.
            frames.insert(0, _scan(single, found.schema()))
        return pl.concat(frames) if frames else pl.LazyFrame(schema=found.schema())

    def arrived(
        self, table: str | type[BaseModel], run_key: str, known: Collection[str]
    ) -> tuple[Part, ...]:
        """Return a run's parts that are not among those known by name, oldest first.

        Raises:
            LedgerError: One is damaged.
        """
        found = self.table(table)
        if self._remote is not None:
            self._remote.pull(self.folder(found.name, run_key))
        fresh = [part for part in self.parts(found.name, run_key) if part.name not in known]
        for part in fresh:
            check_whole(part)
        return tuple(fresh)

    def scan_parts(
        self, table: "str | type[BaseModel] | Table", paths: list[Path]
    ) -> "pl.LazyFrame":
        """Return the rows of some parts, given oldest first, each key once."""
        import polars as pl

        found = table if isinstance(table, Table) else self.table(table)
        frame = _scan(paths, found.schema())
        if found.weak is not None:
            # Older parts may lack the column. Sorted, not filtered twice: each part is read once.
            weak = (pl.col(found.weak.column) == found.weak.value).fill_null(False)
            frame = frame.sort(weak, maintain_order=True)
        return frame.unique(list(found.full_key), keep="first", maintain_order=True)

    def rows(self, row: type[R], run_key: str | None = None) -> list[R]:
        """Return a table's rows as models, oldest part first.

        Raises:
            LedgerError: A part is damaged, or a row no longer fits its class.
        """
        from polars.exceptions import PolarsError

        table = table_of(row)
        try:
            records = self.scan(row, run_key).collect().to_dicts()
        except (PolarsError, OSError) as error:
            raise LedgerError(f"{self.root / table.name}: cannot be read: {error}") from error
        try:
            return [row.model_validate(row_from(row, table.columns, r)) for r in records]
        except ValidationError as error:
            raise LedgerError(
                f"{self.root / table.name}: a row does not fit {row.__name__}: {error}"
            ) from error

    def tables(self, run_key: str) -> tuple[str, ...]:
        """Return the tables a run left rows in, sorted; all parts of them are here then."""
        from grindstone.ledger.tables import TABLES

        if self._remote is not None:
            for name in TABLES:
                self._remote.pull(self.folder(name, run_key))
        names = sorted(folder.name for folder in _folders(self.root))
        return tuple(name for name in names if self.folder(name, run_key).is_dir())

    def runs_here(self, table: str) -> tuple[str, ...]:
        """Return the keys of the runs whose rows are on this machine, sorted."""
        return self._runs([self.root / table])

    def runs(self, table: str | None = None) -> tuple[str, ...]:
        """Return the keys of the runs that left rows, in one table or in any, sorted."""
        if self._remote is not None:
            self._remote.pull(self.root if table is None else self.root / table)
        return self._runs([self.root / table] if table is not None else _folders(self.root))

    @staticmethod
    def _runs(folders: Iterable[Path]) -> tuple[str, ...]:
        return tuple(
            sorted(
                {
                    unquote(folder.name.removeprefix("run="))
                    for parent in folders
                    for folder in _folders(parent)
                    if folder.name.startswith("run=")
                }
            )
        )

    def table(self, table: str | type[BaseModel]) -> Table:
        """Return a table by its name or its row class.

        Raises:
            LedgerError: There is none of that name.
        """
        if not isinstance(table, str):
            return table_of(table)
        from grindstone.ledger.tables import TABLES

        if table not in TABLES:
            raise LedgerError(f"{table}: no such table; expected one of {', '.join(TABLES)}")
        return TABLES[table]

    def folder(self, table: str, run_key: str) -> Path:
        """Return where a run's parts of a table are kept."""
        if not run_key.strip("."):
            raise LedgerError(f"run_key {run_key!r}: names no folder; expected letters or digits")
        return self.root / table / f"run={quote(run_key, safe='')}"

    def parts(self, table: str, run_key: str) -> tuple[Part, ...]:
        """Return a run's parts, oldest first; files that are no part are passed over."""
        found: list[Part] = []
        try:
            with os.scandir(self.folder(table, run_key)) as entries:
                for entry in entries:
                    if PART_NAME.fullmatch(entry.name):
                        stat = entry.stat()
                        found.append(
                            Part(stat.st_mtime_ns, entry.name, Path(entry.path), stat.st_size)
                        )
        except FileNotFoundError:
            return ()
        return tuple(sorted(found))

    def live_parts(self, table: str, run_key: str) -> tuple[Part, ...]:
        """Return the parts a reader needs: all but those that `compact` merged.

        Raises:
            LedgerError: A part is damaged.
        """
        parts = self.parts(table, run_key)
        for part in parts:
            check_whole(part)
        merged = {name for part in parts if part.merged for name in merged_names(part.path)}
        return tuple(part for part in parts if part.name not in merged)


def frame_of(table: Table, rows: Iterable[BaseModel], run_key: str) -> "pl.DataFrame":
    """Return rows as a frame with the table's declared schema."""
    import polars as pl

    kept = list(rows)
    data = {column.name: [value_of(row, column) for row in kept] for column in table.columns}
    data.setdefault("run_key", [run_key] * len(kept))
    schema = table.schema()
    return pl.DataFrame({name: data[name] for name in schema.names()}, schema=schema)


def parquet_bytes(frame: "pl.DataFrame", metadata: dict[str, str] | None = None) -> bytes:
    """Return a frame as the bytes of a parquet file."""
    buffer = BytesIO()
    frame.write_parquet(buffer, metadata=metadata)
    return buffer.getvalue()


def check_whole(part: Part) -> None:
    """Refuse a file that is not parquet from its first to its last bytes.

    Raises:
        LedgerError: The file is torn or is something else.
    """
    try:
        with part.path.open("rb") as file:
            head = file.read(4)
            file.seek(max(0, part.size - 8))
            tail = file.read(8)
    except FileNotFoundError:
        return  # merged away since it was listed; the merged part is in the next listing
    footer = int.from_bytes(tail[:4], "little")
    if part.size < 12 or head != MAGIC or tail[4:] != MAGIC or footer > part.size - 12:
        expected = "a whole parquet file; one from a copy of the home, or none at all"
        raise LedgerError(f"{part.path}: the part is damaged; expected {expected}")


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _scan(paths: list[Path], schema: "pl.Schema") -> "pl.LazyFrame":
    import polars as pl

    return pl.scan_parquet(
        paths,
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
        cast_options=pl.ScanCastOptions(
            integer_cast="upcast",
            missing_struct_fields="insert",
            extra_struct_fields="ignore",
        ),
    )


def _key_json(table: Table, row: BaseModel) -> list[JsonValue]:
    values = {column.name: column.kind for column in table.columns}
    return [encode(getattr(row, name), values.get(name, Kind("text"))) for name in table.key]


def _folders(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
