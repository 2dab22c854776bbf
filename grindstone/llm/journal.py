"""Paid answers on disk, so that a killed run never pays for one twice.

One file of JSON lines per role and scope, in one folder per run. A line is written with
one append under an exclusive lock and is on disk (fsync) before the answer is used. A
kill in the middle leaves a torn last line: it fails its checksum, is skipped, and the
next writer starts a new line after it. The lock is the file's, so writers in several
processes, on one machine, may share a folder. Of two lines with one key the first holds.
What a kill can cost is the calls that were in flight.

In a remote home a call is an object of its own beside that file, `<file's stem>.calls/<call id>`,
and is there before its line is in the file of this machine. One that storage did not take is
owed to it: no look-up, and so no other call, goes past that before storage has it.

A line keeps the answer and its `CallRecord`; a call that was given up after the service had
told tokens is a line without an answer, found by no look-up. Of the request it keeps only a
digest, and nothing of the connection: no header, key or environment value can get in.
"""

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from filelock import lock_descriptor
from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.digest import SHORT, canonical_json, digest
from grindstone.errors import InfrastructureError
from grindstone.llm.calls import CallRecord
from grindstone.llm.messages import CallSite, Response
from grindstone.records import Role
from grindstone.remote.mirror import mirror_of

_ENDING = ".jsonl"
CALLS = ".calls"
"""Ends the name under which the calls of a file are in storage, one by one."""
PULL_S = 5.0
"""How long what others put into storage may go unseen where the spending of all is looked at."""


class JournalEntry(Frozen):
    """One paid call."""

    record: CallRecord
    response: Response | None
    """None: the call was given up after tokens were told."""


class _Line(Frozen):
    entry: JournalEntry
    checksum: str
    payer: str = ""


class Bill(NamedTuple):
    """A paid call, and under which name the process that paid it spends."""

    payer: str  # empty: under none
    record: CallRecord


class _Owed(NamedTuple):
    """A paid call that storage did not take."""

    path: Path  # of the file its line is to be in
    data: bytes


class _Index(NamedTuple):
    """Where each call's lines are in a file: offset to length, by key."""

    size: int
    """The file's, when it was read."""
    whole: int
    """Up to here lines are ended, and never change any more."""
    spans: dict[str, dict[int, int]]


class Journal:
    """The paid answers of one run; answers stay on disk, memory holds where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: dict[Path, _Index] = {}
        self._read: dict[str, int] = {}  # up to where `news` has read each file
        self._lock = threading.Lock()
        self._mirror = mirror_of(folder)
        self._owed: dict[str, _Owed] = {}
        self._copied: set[Path] = set()
        self._pulled: dict[Path, float] = {}  # when each file was made level with storage

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def look_up(self, key: str, site: CallSite) -> JournalEntry | None:
        """Return the paid call with this key (see `call_key`), or None: it must go live.

        Raises:
            InfrastructureError: The storage of a remote home did not answer, or does still not take
                what was paid before.
        """
        path = self._path(site)
        self._pay_back()
        if (found := self._look_here(key, path)) is not None or self._mirror is None:
            return found
        if path in self._pulled:
            return None
        self._take_copied(path)
        self._pull(path.with_suffix(CALLS))
        self._pulled[path] = time.monotonic()
        return self._look_here(key, path)

    def _look_here(self, key: str, path: Path) -> JournalEntry | None:
        with self._lock, contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            spans = self._index(path, file).get(key, {})
            for offset, length in sorted(spans.items()):
                file.seek(offset)
                if (entry := _parse(file.read(length))) is not None:
                    return entry
        return None

    def append(self, site: CallSite, entry: JournalEntry, *, payer: str = "") -> None:
        """Put a paid call on disk, in a remote home into storage first; it is there at the return.

        Args:
            site: Where in the run.
            entry: The call.
            payer: The name under which this process spends, where several share a ceiling.

        Raises:
            OSError: The disk is full or the folder cannot be written.
            InfrastructureError: The storage of a remote home did not take it.
        """
        text = canonical_json(entry).encode()  # once: an answer may be long
        checksum = hashlib.sha256(text).hexdigest().encode()
        paid_by = b',"payer":"' + payer.encode() + b'"' if payer else b""
        data = b'{"checksum":"' + checksum + b'","entry":' + text + paid_by + b"}\n"
        path = self._path(site)
        if self._mirror is not None:
            name = self._mirror.name_of(path.with_suffix(CALLS) / entry.record.call_id)
            try:
                self._mirror.store.put_new(name, data)
            except InfrastructureError:
                self._owed[name] = _Owed(path, data)
                raise
        self._write(path, data, own=True)

    def _pay_back(self) -> None:
        """Put into storage what it did not take before."""
        for name, owed in list(self._owed.items()):
            assert self._mirror is not None
            self._mirror.store.put_new(name, owed.data)
            if self._owed.pop(name, None) is not None:  # else another thread was faster
                self._write(owed.path, owed.data, own=True)

    def _write(self, path: Path, data: bytes, *, own: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            lock_descriptor(handle, poll_interval=0.005)  # closing it gives the lock back
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            _write_all(handle, (b"\n" if torn else b"") + data)
            os.fsync(handle)
            with self._lock:
                if own and not torn and self._read.get(path.name, 0) == size:  # its writer knows it
                    self._read[path.name] = size + len(data)
        finally:
            os.close(handle)
        if new:
            _sync_folder(self._folder)

    def news(self) -> list[CallRecord]:
        """Return the calls that others have put here since this was last asked."""
        if time.monotonic() - self._pulled.get(self._folder, -PULL_S) >= PULL_S:
            self.pull()
        found = []
        with self._lock, contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as files:
            for file in files:
                seen = self._read.get(file.name, 0)
                if file.name.endswith(_ENDING) and file.stat().st_size > seen:
                    with Path(file.path).open("rb") as lines:
                        lines.seek(seen)
                        added = lines.read()
                    whole = added[: added.rfind(b"\n") + 1]
                    self._read[file.name] = seen + len(whole)
                    entries = [_parse(line) for line in whole.splitlines()]
                    found += [entry.record for entry in entries if entry is not None]
        return found

    def pull(self) -> None:
        """Bring what the storage of a remote home has of the run; nothing to do in another."""
        if self._mirror is not None:
            self._pull(self._folder)
            self._pulled[self._folder] = time.monotonic()

    def _pull(self, place: Path) -> None:
        """Bring the calls below a place: the folder, or where those of one file are."""
        assert self._mirror is not None
        wanted: dict[str, Path] = {}
        start = self._mirror.name_of(place)
        for entry in sorted(self._mirror.store.listed(start), key=lambda each: each.modified_ns):
            at = self._mirror.root / entry.name
            if at.suffix == _ENDING:
                self._take_copied(at)
            elif at.parent.suffix == CALLS:
                wanted[entry.name] = at.parent.with_suffix(_ENDING)
        for path in set(wanted.values()):
            with self._lock, contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                here = self._index(path, file)
                wanted = {n: p for n, p in wanted.items() if p != path or Path(n).name not in here}
        for name, content in self._mirror.store.get_all(list(wanted)):
            if content is not None:
                self._write(wanted[name], content, own=False)

    def _take_copied(self, path: Path) -> None:
        """Bring the calls of a file of a home that was copied, where storage has one."""
        assert self._mirror is not None
        if path in self._copied:
            return
        self._copied.add(path)
        if not path.exists():
            self._mirror.fetch(path)
            return
        with self._lock, path.open("rb") as file:
            here = set(self._index(path, file))
        for line in (self._mirror.get(path) or b"").splitlines(keepends=True):
            if _key(line) not in here:
                self._write(path, line, own=False)

    def entries(self) -> Iterator[JournalEntry]:
        """Yield every paid call of the run, each once, in a fixed order."""
        for lines in self._files():
            yielded = set()
            for line in lines:
                if line.entry.record.call_id not in yielded:
                    yielded.add(line.entry.record.call_id)
                    yield line.entry

    def bills(self) -> list[Bill]:
        """Return every payment of the run, also of a call that two processes paid."""
        return [
            Bill(line.payer, line.entry.record)
            for lines in self._files()
            for line in {(each.payer, each.entry.record.call_id): each for each in lines}.values()
        ]

    def _files(self) -> Iterator[list[_Line]]:
        self.pull()
        for path in sorted(self._folder.glob(f"*{_ENDING}")):
            lines = map(_parse_line, path.read_bytes().splitlines())
            yield [line for line in lines if line is not None]

    def answers(self, role: Role, scope: str) -> list[JournalEntry]:
        """Return the paid calls of a role within a scope, in the order they were written."""
        path = self._path(CallSite(role=role, scope=scope, turn=0))
        if self._mirror is not None:
            self._pull(path.with_suffix(CALLS))
        return self.in_file(path)

    @staticmethod
    def in_file(path: Path) -> list[JournalEntry]:
        """Return the whole calls of one file of a journal, in the order they were written."""
        lines = path.read_bytes().splitlines() if path.is_file() else []
        found = (_parse(line) for line in lines)
        return [entry for entry in found if entry is not None]

    def _path(self, site: CallSite) -> Path:
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", site.scope)[:48].strip("-.")
        unique = hashlib.sha256(site.scope.encode()).hexdigest()[:SHORT]
        return self._folder / f"{site.role.value}-{readable}-{unique}{_ENDING}"

    def _index(self, path: Path, file: BinaryIO) -> dict[str, dict[int, int]]:
        """Return the file's index, reading only what was added since the last time."""
        index = self._indexes.get(path) or _Index(0, 0, {})
        if os.fstat(file.fileno()).st_size != index.size:
            file.seek(index.whole)
            offset = whole = index.whole
            for line in file.read().splitlines(keepends=True):
                if (key := _key(line)) is not None:
                    index.spans.setdefault(key, {})[offset] = len(line)
                offset += len(line)
                whole = offset if line.endswith(b"\n") else whole
            index = self._indexes[path] = _Index(offset, whole, index.spans)
        return index.spans


def _key(line: bytes) -> str | None:
    try:
        key = json.loads(line)["entry"]["record"]["call_id"]
    except (ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, str) else None


def _parse(line: bytes) -> JournalEntry | None:
    found = _parse_line(line)
    return None if found is None else found.entry


def _parse_line(line: bytes) -> _Line | None:
    """Return what a line holds, or None where it is torn or was changed."""
    try:
        found = _Line.model_validate_json(line)
    except ValidationError:
        return None
    return found if digest(found.entry) == found.checksum else None


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
