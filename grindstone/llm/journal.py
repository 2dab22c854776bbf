"""Paid answers on disk, so that a killed run never pays for one twice.

One file of JSON lines per role and scope, in one folder per run. A line is written with
one append under an exclusive lock and is on disk (fsync) before the answer is used. A
kill in the middle leaves a torn last line: it fails its checksum, is skipped, and the
next writer starts a new line after it. The lock is the file's, so writers in several
processes, on one machine, may share a folder. Of two lines with one key the first holds.

A line keeps the answer and its `CallRecord`; of the request only a digest, and nothing
of the connection: no header, key or environment value can get in.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.digest import SHORT, canonical_json, digest
from grindstone.llm.calls import CallRecord
from grindstone.llm.messages import CallSite, Response


class Entry(Frozen):
    """One paid call."""

    record: CallRecord
    response: Response


class _Line(Frozen):
    entry: Entry
    checksum: str


class _Known(NamedTuple):
    size: int
    entries: dict[str, Entry]


class Journal:
    """The paid answers of one run.

    An instance belongs to one thread at a time; the folder may be shared.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, _Known] = {}

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def look_up(self, key: str, site: CallSite) -> Entry | None:
        """Return the paid call with this key (see `call_key`), or None: it must go live."""
        return self._read(self._path(site)).get(key)

    def append(self, site: CallSite, entry: Entry) -> None:
        """Put a paid call on disk; it is there when this returns.

        Raises:
            OSError: The disk is full or the folder cannot be written.
        """
        line = _Line(entry=entry, checksum=digest(entry))
        data = canonical_json(line).encode() + b"\n"
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(site)
        new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            _write_all(handle, (b"\n" if torn else b"") + data)
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            _sync_folder(self._folder)

    def entries(self) -> Iterator[Entry]:
        """Yield every paid call of the run, each once, in a fixed order."""
        for path in sorted(self._folder.glob("*.jsonl")):
            yield from self._read(path).values()

    def _path(self, site: CallSite) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", site.scope)[:48].strip("-.")
        unique = hashlib.sha256(site.scope.encode()).hexdigest()[:SHORT]
        return self._folder / f"{site.role.value}-{readable}-{unique}.jsonl"

    def _read(self, path: Path) -> dict[str, Entry]:
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return {}
        known = self._known.get(path)
        if known is None or known.size != size:
            content = path.read_bytes()
            known = _Known(len(content), _parse(content))
            self._known[path] = known
        return known.entries


def _parse(content: bytes) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for raw in content.splitlines():
        try:
            line = _Line.model_validate_json(raw)
        except ValidationError:
            continue
        if digest(line.entry) == line.checksum:
            entries.setdefault(line.entry.record.call_id, line.entry)
    return entries


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
