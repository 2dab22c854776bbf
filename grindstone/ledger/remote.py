"""The parts of a remote home's ledger: in storage first, and fetched where a reader lacks them.

A part never changes, so what is here need not be asked for again. Storage says how old a part is,
for all readers alike, but for two kinds: a merged part says it itself, and of a home that was
copied the copy's record does (`grindstone.remote.record`).
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from grindstone.files import claim
from grindstone.ledger.row import LedgerError
from grindstone.remote.mirror import Mirror
from grindstone.remote.record import ages
from grindstone.remote.store import StoredObject

AGE = "grindstone.written_ns"
MERGED = "merged-"


class RemoteParts:
    """What storage has of a ledger, seen from the folder that shows it."""

    def __init__(self, mirror: Mirror) -> None:
        """Take the mirror of the home."""
        self._mirror = mirror
        self._ages: dict[str, int] | None = None

    def keep(self, path: Path, content: bytes) -> bool:
        """Put a part into storage, then here; where storage has it, what it has is here."""
        return self._mirror.claim(path, content)

    def sweep(self, folder: Path, grace_s: float) -> None:
        """Remove parts from storage for which a merged one has stood long enough.

        Which ones, storage tells: a machine that never read a run has none of its parts. How late
        it is there, its newest part tells at least.

        Args:
            folder: Of a table, or of a run in it.
            grace_s: Seconds that a merged part must have been there.

        Raises:
            LedgerError: A merged part is damaged.
            InfrastructureError: The storage did not answer.
        """
        mirror = self._mirror
        parts = self._listed(folder)
        before_ns = max((part.modified_ns for part in parts), default=0) - int(grace_s * 1e9)
        names = {part.name for part in parts}
        alone = {run for run, of_run in Counter(map(_folder, names)).items() if of_run == 1}
        merged = [
            part.name
            for part in parts
            if _is_merged(part.name)
            and part.modified_ns <= before_ns
            and _folder(part.name) not in alone
        ]
        self._fetch([name for name in merged if not (mirror.root / name).exists()])
        mirror.store.delete_all(sorted(self._replaced(merged) & names))

    def pull(self, folder: Path) -> None:
        """Bring the parts that lack here: merged ones first, and none that they stand for.

        Raises:
            LedgerError: A merged part is damaged.
            InfrastructureError: The storage did not answer.
        """
        mirror = self._mirror
        listed = {part.name: part for part in self._listed(folder)}
        merged = [name for name in listed if _is_merged(name)]
        self._fetch([name for name in merged if not (mirror.root / name).exists()])
        replaced = self._replaced(merged)
        wanted = [name for name in listed if name not in replaced]
        self._fetch([name for name in wanted if not (mirror.root / name).exists()])
        for name in wanted:
            self._set_age(listed[name])

    def _listed(self, folder: Path) -> list[StoredObject]:
        found = self._mirror.store.listed(self._mirror.name_of(folder))
        return [each for each in found if each.name.endswith(".parquet")]

    def _replaced(self, merged: Iterable[str]) -> set[str]:
        """Return the names that merged parts stand for; these are here."""
        return {
            f"{_folder(name)}/{old}"
            for name in merged
            for old in merged_names(self._mirror.root / name)
        }

    def _fetch(self, names: list[str]) -> None:
        for name, content in self._mirror.store.get_all(names):
            if content is not None:  # else it was merged away since it was listed
                claim(self._mirror.root / name, content)

    def _set_age(self, entry: StoredObject) -> None:
        path = self._mirror.root / entry.name
        try:
            age = path.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if path.name.startswith(MERGED):
            wanted = age_within(path) or entry.modified_ns
        else:
            if self._ages is None:
                self._ages = ages(self._mirror.store)
            wanted = self._ages.get(entry.name, entry.modified_ns)
        if age != wanted:
            os.utime(path, ns=(wanted, wanted))


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _is_merged(name: str) -> bool:
    return name.rpartition("/")[2].startswith(MERGED)


def age_within(path: Path) -> int | None:
    """Return the age that a merged part says its rows have, None where it says none."""
    import polars as pl

    said = pl.read_parquet_metadata(path).get(AGE)
    return None if said is None else int(said)


def merged_names(path: Path) -> tuple[str, ...]:
    """Return the names of the parts that a merged part stands for.

    Raises:
        LedgerError: The merged part does not say.
    """
    import json

    import polars as pl

    try:
        return tuple(json.loads(pl.read_parquet_metadata(path)["grindstone.merged"]))
    except (KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise LedgerError(f"{path}: the part is damaged: {error}") from error
