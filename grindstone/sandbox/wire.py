"""The records that the runner inside a sandbox reads and writes (see runner/runner.c)."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

HEADER = struct.Struct(">cIIQ")
"""Type, mode, length of the path, length of the data."""

END = HEADER.pack(b"E", 0, 0, 0)
"""After the last record given to the runner."""

CHUNK = 1 << 20


class Trailer(NamedTuple):
    """The runner's last word."""

    exit_code: int
    timed_out: bool
    total: int  # bytes of output there were
    problem: str  # empty, or why the runner could not do what it was told


class Answer(NamedTuple):
    """All that the runner said."""

    output: bytes
    files: Mapping[str, bytes]
    trailer: Trailer | None  # None: it broke off
    modes: Mapping[str, int] = {}  # of the files, by the same names
    folders: Mapping[str, int] = {}  # their modes, by name
    note: str = ""  # of a sealed run, on what ran already


def file_record(path: str, content: bytes, mode: int) -> bytes:
    """Return the record of a file."""
    name = path.encode(errors="surrogateescape")
    return HEADER.pack(b"F", mode, len(name), len(content)) + name + content


def folder_records(source: Path, target: str) -> Iterator[bytes]:
    """Yield a folder's content under an absolute path; links as links, modes kept."""
    top = target.rstrip("/")
    yield _record(b"D", top or "/", 0o755)
    for path in sorted(source.rglob("*")):
        name = f"{top}/{path.relative_to(source).as_posix()}"
        if path.is_symlink():
            yield _record(b"L", name, 0o777, bytes(path.readlink()))
        elif path.is_dir():
            yield _record(b"D", name, path.stat().st_mode & 0o777)
        elif path.is_file():
            yield file_record(name, path.read_bytes(), path.stat().st_mode & 0o777)


def _record(kind: bytes, path: str, mode: int, data: bytes = b"") -> bytes:
    name = path.encode(errors="surrogateescape")
    return HEADER.pack(kind, mode, len(name), len(data)) + name + data


class AnswerReader:
    """Puts the runner's records together from whatever pieces they arrive in."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._output = bytearray()
        self._files: dict[str, bytearray] = {}
        self._current = self._output
        self._trailer: Trailer | None = None
        self._modes: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._note = ""

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        self._rest += data
        at = 0
        while len(self._rest) - at >= HEADER.size:
            kind, mode, name_length, length = HEADER.unpack_from(self._rest, at)
            body = at + HEADER.size + name_length
            if len(self._rest) < body + length:
                break
            name = self._rest[at + HEADER.size : body].decode(errors="surrogateescape")
            self._take(kind, mode, name, bytes(self._rest[body : body + length]))
            at = body + length
        del self._rest[:at]

    def _take(self, kind: bytes, mode: int, name: str, data: bytes) -> None:
        if kind == b"O":
            self._current += data
        elif kind == b"F":
            self._current = self._files.setdefault(name, bytearray())
            self._modes[name] = mode
        elif kind == b"D":
            self._folders[name] = mode
        elif kind == b"N":
            self._note = data.decode(errors="replace")
        elif kind == b"T":
            code, timed_out, total, problem = data.decode(errors="replace").split(" ", 3)
            self._trailer = Trailer(int(code), timed_out == "1", int(total), problem)

    @property
    def done(self) -> bool:
        """Whether the trailer has come."""
        return self._trailer is not None

    def answer(self) -> Answer:
        """Return what came."""
        files = {name: bytes(content) for name, content in self._files.items()}
        return Answer(
            bytes(self._output), files, self._trailer, self._modes, self._folders, self._note
        )
