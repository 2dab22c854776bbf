"""Merging many small parts into one, while others read and write.

The merged part names in its own metadata the parts it stands for, and readers pass those
over: the moment it appears, it replaces them. They are removed by a later call, after a
time of grace, because a query planned before may still want to open them. Killed at any
point, the worst that is left is a part more, and no reader counts a row twice.
"""

import json
import os
import time
from pathlib import Path

from grindstone.digest import digest
from grindstone.errors import Cause, InfrastructureError
from grindstone.ledger.remote import AGE, merged_names
from grindstone.ledger.row import LedgerError
from grindstone.ledger.store import Ledger, Part, parquet_bytes

GRACE_S = 3600.0
"""Longer than any query runs."""


def compact(
    ledger: Ledger, run_key: str, *, min_parts: int = 8, grace_s: float = GRACE_S
) -> tuple[Path, ...]:
    """Merge the parts of each table of a run that has at least `min_parts` of them.

    Leftovers of killed writers and parts merged earlier are removed once they are older
    than `grace_s` seconds.

    Returns:
        The merged parts that were written.

    Raises:
        LedgerError: A part is damaged; that table is left as it is.
        InfrastructureError: The disk refused (cause `ledger_io`).
    """
    written: list[Path] = []
    for table in ledger.tables(run_key):
        try:
            if _sweep(ledger, table, run_key, grace_s):
                ledger.sweep_storage(table, run_key, grace_s)
            live = ledger.live_parts(table, run_key)
            if len(live) >= max(2, min_parts):
                written.append(_merge(ledger, table, run_key, live))
        except OSError as error:
            where = ledger.root / table
            raise InfrastructureError(Cause.LEDGER_IO, f"{where}: {error}") from error
    return tuple(written)


def merge_ended(ledger: Ledger, run_key: str, *, grace_s: float = GRACE_S) -> None:
    """Merge the parts of a run that has ended, and remove what runs before it left of theirs.

    A run writes a part per attempt and table; who reads a hundred runs would open ten thousand.

    Raises:
        LedgerError: A part is damaged; that table is left as it is.
        InfrastructureError: The disk refused (cause `ledger_io`).
    """
    compact(ledger, run_key, grace_s=grace_s)
    for table in sorted(path.name for path in ledger.root.iterdir() if path.is_dir()):
        ledger.sweep_storage(table, None, grace_s)
        for key in ledger.runs_here(table):
            names = os.listdir(ledger.folder(table, key))  # noqa: PTH208 - names alone, and many
            if len(names) > 1 and any(name.startswith("merged-") for name in names):
                try:
                    _sweep(ledger, table, key, grace_s)
                except OSError as error:
                    raise InfrastructureError(Cause.LEDGER_IO, f"{table}: {error}") from error


def _merge(ledger: Ledger, table: str, run_key: str, live: tuple[Part, ...]) -> Path:
    from polars.exceptions import PolarsError

    names = [part.name for part in live]
    stands_for = sorted(
        {*names, *(old for part in live if part.merged for old in merged_names(part.path))}
    )
    path = ledger.folder(table, run_key) / f"merged-{digest([*sorted(names)])}.parquet"
    try:
        frame = ledger.scan_parts(table, [part.path for part in live]).collect()
    except PolarsError as error:
        raise LedgerError(f"{path.parent}: a part cannot be read: {error}") from error
    age = live[0].written_ns
    said = {"grindstone.merged": json.dumps(stands_for), AGE: str(age)}
    if ledger.keep(path, parquet_bytes(frame, said)):
        # The merged rows keep their age, so that the oldest part still wins over later ones.
        os.utime(path, ns=(age, age))
    return path


def _sweep(ledger: Ledger, table: str, run_key: str, grace_s: float) -> bool:
    """Remove what no reader of this machine needs any more; return whether there were parts."""
    parts = ledger.parts(table, run_key)
    before_ns = time.time_ns() - int(grace_s * 1e9)
    replaced = {
        name
        for part in parts
        if part.merged and part.path.stat().st_ctime_ns <= before_ns
        for name in merged_names(part.path)
    }
    for part in parts:
        if part.name in replaced:
            part.path.unlink(missing_ok=True)
    for leftover in ledger.folder(table, run_key).glob(".*.parquet.*"):
        if leftover.stat().st_mtime_ns <= before_ns:
            leftover.unlink(missing_ok=True)
    return bool(replaced)
