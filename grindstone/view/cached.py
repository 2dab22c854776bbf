"""A ledger that is asked again and again: what has not changed on disk is not read twice."""

import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from grindstone.home import Home
from grindstone.ledger import Ledger

if TYPE_CHECKING:
    import polars as pl

LARGE = frozenset({"trajectory_steps", "test_results", "verdicts", "calls"})
"""Tables that are read from disk each time, as far as they are asked for."""

CLOCK_NS = 1_000_000_000
"""A folder that changed less than this ago may change again without its time telling."""


class _Held(NamedTuple):
    changed_ns: int
    names: tuple[str, ...]
    frame: "pl.DataFrame"


class CachedLedger(Ledger):
    """Holds the small tables in memory, run by run, as long as their parts are the same."""

    def __init__(self, home: Home | Path | str, *, only: Collection[str] | None = None) -> None:
        """Open a home's ledger.

        Args:
            home: The home.
            only: The runs there are to be; None: all.
        """
        super().__init__(home)
        self._only = None if only is None else frozenset(only)
        self._held: dict[tuple[str, str], _Held] = {}
        self._lock = threading.Lock()

    def runs(self, table: str | None = None) -> tuple[str, ...]:
        """Return what `Ledger.runs` does, of the runs there are to be."""
        found = super().runs(table)
        return found if self._only is None else tuple(key for key in found if key in self._only)

    def scan(self, table: str | type[BaseModel], run_key: str | None = None) -> "pl.LazyFrame":
        """Return what `Ledger.scan` does."""
        import polars as pl

        found = self.table(table)
        if found.name in LARGE:
            return super().scan(table, run_key)
        keys = [run_key] if run_key is not None else self.runs(found.name)
        frames = [self._frame(found.name, key) for key in keys]
        kept = [frame for frame in frames if frame.height]
        return pl.concat(kept).lazy() if kept else pl.LazyFrame(schema=found.schema())

    def _frame(self, table: str, run_key: str) -> "pl.DataFrame":
        key = (table, run_key)
        with self._lock:
            held = self._held.get(key)
            changed = changed_ns(self.folder(table, run_key))
            settled = time.time_ns() - changed > CLOCK_NS
            if held is not None and held.changed_ns == changed and settled:
                return held.frame
            names = tuple(part.name for part in self.parts(table, run_key))
            if held is None or held.names != names:
                held = _Held(0, names, super().scan(table, run_key).collect())
            self._held[key] = held._replace(changed_ns=changed if settled else 0)
            return held.frame


def changed_ns(folder: Path) -> int:
    """Return when a folder last gained or lost a name; 0 where it is not there."""
    try:
        return folder.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
