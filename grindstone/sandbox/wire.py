"""The records that the runner inside a sandbox reads and writes (see runner/runner.c)."""

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from grindstone.errors import Cause, InfrastructureError

HEADER = struct.Struct(">cIIQ")
"""Type, mode, length of the path, length of the data."""

END = HEADER.pack(b"E", 0, 0, 0)
"""After the last record given to the runner."""

CHUNK = 1 << 20

LEFT = "left"
"""The note of a command that had to end: some of what it started could not be ended."""

LONGEST_NAME = 8_192
LONGEST_WORD = 4_096
"""Bytes of a note or a trailer."""

MOST_NAMES = 110_000
"""Files and folders; above what runner.c sends (TREE_ENTRIES)."""

_TRAILER = re.compile(r"(-?[0-9]{1,4}) ([01]) ([0-9]{1,20}) (.*)", re.DOTALL)


class Trailer(NamedTuple):
    """The runner's last word."""

    exit_code: int
    timed_out: bool
    total: int  # bytes of output there were
    problem: str  # empty, or why the runner could not do what it was told


class RunnerOutput(NamedTuple):
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


def variable_records(variables: Mapping[str, str]) -> Iterator[bytes]:
    """Yield what `--read-env` reads before all else on standard input."""
    for name, value in variables.items():
        yield _record(b"V", name, 0, value.encode(errors="surrogateescape"))
    yield END


class AnswerReader:
    """Puts the runner's records together from whatever pieces they arrive in, within limits.

    Args:
        room: Bytes of output and files that may come, in all.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._rest = bytearray()
        self._output = bytearray()
        self._files: dict[str, bytearray] = {}
        self._current = self._output
        self._trailer: Trailer | None = None
        self._modes: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._note = ""

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            InfrastructureError: SANDBOX_IO, it is nothing a runner says, or more than was asked.
        """
        self._rest += data
        at = 0
        while len(self._rest) - at >= HEADER.size and not self.done:
            kind, mode, name_length, length = HEADER.unpack_from(self._rest, at)
            body = at + HEADER.size + name_length
            self._look_at(kind, name_length, length)
            if len(self._rest) < body + length:
                break
            name = self._rest[at + HEADER.size : body].decode(errors="surrogateescape")
            self._take(kind, mode, name, bytes(self._rest[body : body + length]))
            at = body + length
        del self._rest[:at]

    def _look_at(self, kind: bytes, name_length: int, length: int) -> None:
        if kind not in {b"O", b"F", b"D", b"N", b"T"}:
            _malformed(f"a record of type {kind!r}")
        elif kind == b"O" and length > self._room:
            _malformed("more than was asked for")
        elif name_length > LONGEST_NAME or (kind != b"O" and length > LONGEST_WORD):
            _malformed("a record without end")
        elif len(self._files) + len(self._folders) > MOST_NAMES:
            _malformed("more files than a runner names")

    def _take(self, kind: bytes, mode: int, name: str, data: bytes) -> None:
        if kind == b"O":
            self._room -= len(data)
            self._current += data
        elif kind == b"F":
            self._current = self._files.setdefault(name, bytearray())
            self._modes[name] = mode
        elif kind == b"D":
            self._folders[name] = mode
        elif kind == b"N":
            self._note = data.decode(errors="replace")
        else:
            self._trailer = _trailer(data.decode(errors="replace"))

    @property
    def done(self) -> bool:
        """Whether the trailer has come."""
        return self._trailer is not None

    def answer(self) -> RunnerOutput:
        """Return what came."""
        files = {name: bytes(content) for name, content in self._files.items()}
        return RunnerOutput(
            bytes(self._output), files, self._trailer, self._modes, self._folders, self._note
        )


def _trailer(text: str) -> Trailer:
    matched = _TRAILER.fullmatch(text)
    if matched is None:
        _malformed("a last word of another form")
    code, timed_out, total, problem = matched.groups()
    return Trailer(int(code), timed_out == "1", int(total), problem)


def _malformed(problem: str) -> NoReturn:
    raise InfrastructureError(
        Cause.SANDBOX_IO, f"what came from the runner is malformed: {problem}"
    )
