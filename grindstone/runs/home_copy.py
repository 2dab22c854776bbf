"""Moving a whole home between folders and object storage, checked by digest, begun again at will.

    copied.json    in the copy: every file with its digest, age and mode, and what was left out

Workspaces travel as git bundles, since what is in them is known by its commits. Everything else is
copied as it is, but for what belongs to one machine (locks, the server's state) and what is made
anew from the rest (snapshots of a workspace).
"""

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol

from filelock import FileLock, Timeout

from grindstone.errors import InputError
from grindstone.files import TEMPORARY, write_atomic
from grindstone.home import Home
from grindstone.llm.journal import CALLS
from grindstone.remote.place import MARK, address_of, shown_in
from grindstone.remote.record import RECORD, CopiedFile, CopyRecord
from grindstone.remote.store import Store
from grindstone.runs.lease import BEAT_S
from grindstone.runs.remote_lock import Holding
from grindstone.workspace.git import EVOLUTION, Repository
from grindstone.workspace.shared import BUNDLE, refs_of_repository, restored, whole_bundle

_LEFT = re.compile(
    r"(server/.*|agents/[^/]+/(snapshots/.*|\.workspace\.lock)|runs/[^/]+/(lock|slices/.*)"
    r"|account\.lock|audit/\.head\.lock|live/[^/]+\.(lock|held)|competency/jobs/[^/]+/\.training"
    rf"|(.*/)?{re.escape(TEMPORARY)}[^/]*|(.*/)?\.fetched-.*|{re.escape(MARK)}|{RECORD})"
)
_WORKSPACE = re.compile(r"agents/([^/]+)/workspace/(?!evolution/)")

Tell = Callable[[str], None]


class Piece(NamedTuple):
    """One thing to copy."""

    name: str
    written_ns: int
    size: int
    executable: bool = False


class Side(Protocol):
    """A home as something to copy from or to."""

    def pieces(self) -> dict[str, Piece]:
        """Return what is there, by name."""

    def read(self, name: str) -> bytes | None:
        """Return a piece's content, a workspace's as a bundle; None where there is none."""

    def write(self, piece: Piece, content: bytes) -> None:
        """Put a piece there."""

    def digest(self, name: str) -> str | None:
        """Return what tells a piece's content; of a workspace, of its refs."""

    def in_use(self) -> tuple[str, ...]:
        """Return the runs that a process is driving, and live tasks at work."""

    def skipped(self) -> Iterator[str]:
        """Yield what is there and is no piece, a sentence each."""


class Copied(NamedTuple):
    """What a copy came to."""

    files: int
    copied: int
    size: int
    left_out: tuple[str, ...]


def copy_home(source: str, target: str, *, tell: Tell = lambda _: None) -> Copied:
    """Copy a home, or go on with a copy that was cut short; nothing of the source is changed.

    Args:
        source: A folder or an address.
        target: Another one, with nothing in it but an earlier copy of the same source.
        tell: Told what happens.

    Raises:
        InputError: The source is no home or in use, or the target holds something else.
        InfrastructureError: The storage did not answer.
    """
    here, there = side_of(source), side_of(target)
    pieces = here.pieces()
    if not pieces:
        raise InputError(source, "holds no home", "a folder or an address that a run has used")
    if used := here.in_use():
        raise InputError(
            source, f"is in use by {', '.join(used)}", "a home without a run under way"
        )
    _check_target(there, source, target)
    left = tuple(here.skipped())
    files: dict[str, CopiedFile] = {}
    copied = 0
    for number, piece in enumerate(pieces.values(), 1):
        digest = here.digest(piece.name)
        if there.digest(piece.name) != digest:
            content = here.read(piece.name)
            if content is None or digest is None:
                raise InputError(source, f"{piece.name} went while it was copied", "a home at rest")
            there.write(piece, content)
            if there.digest(piece.name) != digest:
                raise InputError(target, f"{piece.name} is not what was written", "a sound disk")
            copied += 1
        assert digest is not None
        age, mode = piece.written_ns, piece.executable
        files[piece.name] = CopiedFile(
            sha256=digest, size=piece.size, written_ns=age, executable=mode
        )
        if number % 500 == 0:
            tell(f"{number} of {len(pieces)}")
    if here.pieces() != pieces:
        raise InputError(source, "changed while it was copied", "the same command once more")
    record = CopyRecord(source=source, files=files, left_out=left, whole=True)
    _put_record(there, record)
    return Copied(len(files), copied, sum(file.size for file in files.values()), left)


def side_of(place: str) -> Side:
    """Return a home to copy from or to."""
    address = None if place.startswith("file:/") else address_of(place)
    if address is None:
        root = Home.at(place).root
        address = shown_in(root)
    return _Folder(root) if address is None else _Storage(Store(address))


def _check_target(there: Side, source: str, target: str) -> None:
    known = there.read(RECORD)
    if known is not None:
        begun = CopyRecord.model_validate_json(known)
        if begun.source != source:
            raise InputError(target, f"is a copy of {begun.source}", "a new place")
    elif there.pieces():
        raise InputError(target, "is not empty", "a new place, or a copy that was cut short")
    else:
        _put_record(there, CopyRecord(source=source, files={}))


def _put_record(there: Side, record: CopyRecord) -> None:
    piece = Piece(RECORD, time.time_ns(), 0)
    there.write(piece, record.model_dump_json(indent=1).encode())


class _Storage:
    def __init__(self, store: Store) -> None:
        self.store = store

    def pieces(self) -> dict[str, Piece]:
        said = self.store.get(RECORD)
        known = {} if said is None else CopyRecord.model_validate_json(said).files
        found: dict[str, Piece] = {}
        for entry in self.store.listed():
            if not _LEFT.fullmatch(entry.name):
                was = known.get(entry.name)
                found[entry.name] = Piece(
                    entry.name,
                    was.written_ns if was else entry.modified_ns,
                    entry.size,
                    was.executable if was else False,
                )
        return _in_order(found)

    def read(self, name: str) -> bytes | None:
        return self.store.get(name)

    def write(self, piece: Piece, content: bytes) -> None:
        self.store.put(piece.name, content)

    def digest(self, name: str) -> str | None:
        content = self.store.get(name)
        if content is None:
            return None
        return _refs_within(content) if _is_bundle(name) else sha256(content).hexdigest()

    def in_use(self) -> tuple[str, ...]:
        held = self._held()
        if not held:
            return ()
        time.sleep(2 * BEAT_S)  # a living holder has written it anew by then
        now = self._held()
        return tuple(_held_by(name) for name in held if now.get(name) not in (None, held[name]))

    def skipped(self) -> Iterator[str]:
        for name in self._held():
            yield f"{name}: its holder ended without giving it back"

    def _held(self) -> dict[str, str]:
        locks = [e.name for e in self.store.listed("runs") if e.name.endswith("/lock")]
        locks += [e.name for e in self.store.listed("live") if e.name.endswith(".held")]
        found = {name: self.store.version(name) for name in locks}
        return {
            name: version.e_tag
            for name, version in found.items()
            if version is not None and not Holding.model_validate_json(version.content).over
        }


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root

    def pieces(self) -> dict[str, Piece]:
        found: dict[str, Piece] = {}
        for folder, subfolders, names in os.walk(self.root, followlinks=False):
            here = Path(folder).relative_to(self.root)
            subfolders[:] = sorted(s for s in subfolders if not _of_git((here / s).as_posix()))
            for name in sorted(names):
                path, relative = Path(folder) / name, (here / name).as_posix()
                if path.is_symlink() or _LEFT.fullmatch(relative) or _WORKSPACE.match(relative):
                    continue
                status = path.stat()
                runs = bool(status.st_mode & 0o100)
                found[relative] = Piece(relative, status.st_mtime_ns, status.st_size, runs)
        for workspace in sorted(self.root.glob("agents/*/workspace/.git")):
            name = (workspace.parent.parent / BUNDLE).relative_to(self.root).as_posix()
            found[name] = Piece(name, 0, 0)
        return _in_order(found)

    def read(self, name: str) -> bytes | None:
        if _is_bundle(name):
            repository = self._repository(name)
            return whole_bundle(repository) if repository.git_dir.is_dir() else None
        path = self._path(name)
        return path.read_bytes() if path.is_file() else None

    def write(self, piece: Piece, content: bytes) -> None:
        if _is_bundle(piece.name):
            restored(self._repository(piece.name).root, content)
            return
        path = self._path(piece.name)
        if _is_call(piece.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as journal:
                journal.write(content)
                os.fsync(journal.fileno())
            return
        write_atomic(path, content)
        if piece.executable:
            path.chmod(0o755)
        os.utime(path, ns=(piece.written_ns, piece.written_ns))

    def digest(self, name: str) -> str | None:
        if _is_bundle(name):
            repository = self._repository(name)
            if not repository.git_dir.is_dir():
                return None
            return sha256(refs_of_repository(repository).encode()).hexdigest()
        content = self.read(name)
        if content is not None and _is_call(name):
            content = next((line for line in content.splitlines(True) if _id_in(name, line)), None)
        return None if content is None else sha256(content).hexdigest()

    def in_use(self) -> tuple[str, ...]:
        found = []
        for pattern in ("runs/*/lock", "live/*.held"):
            for path in sorted(self.root.glob(pattern)):
                try:
                    with FileLock(path, blocking=False):
                        pass
                except Timeout:
                    found.append(_held_by(path.relative_to(self.root).as_posix()))
        return tuple(found)

    def skipped(self) -> Iterator[str]:
        if (self.root / "server").is_dir():
            yield "server/: the state of this machine's Prefect server"
        for git in sorted(self.root.glob("agents/*/workspace/.git")):
            repository = Repository(git.parent)
            if repository.dirty():
                where = git.parent.relative_to(self.root)
                yield f"{where}: changes that are not committed; the next run keeps them there"
        for folder, subfolders, names in os.walk(self.root, followlinks=False):
            for name in (*subfolders, *names):
                path = Path(folder) / name
                relative = path.relative_to(self.root).as_posix()
                if path.is_symlink() and not _LEFT.fullmatch(relative):
                    yield f"{relative}: a link"

    def _path(self, name: str) -> Path:
        path = self.root / name
        return path.parent.with_suffix(".jsonl") if _is_call(name) else path

    def _repository(self, name: str) -> Repository:
        return Repository((self.root / name).parent / "workspace")


def _held_by(lock: str) -> str:
    folder, name = lock.split("/")[:2]
    return name if folder == "runs" else f"live task {name.removesuffix('.held')}"


def _in_order(pieces: dict[str, Piece]) -> dict[str, Piece]:
    """Return the oldest first; calls after the files that a folder has them in."""
    return dict(
        sorted(pieces.items(), key=lambda item: (_is_call(item[0]), item[1].written_ns, item[0]))
    )


def _is_bundle(name: str) -> bool:
    return name.startswith("agents/") and name.endswith(f"/{BUNDLE}")


def _is_call(name: str) -> bool:
    return "/journal/" in name and name.rpartition("/")[0].endswith(CALLS)


def _id_in(name: str, line: bytes) -> bool:
    return f'"call_id":"{name.rpartition("/")[2]}"'.encode() in line


def _of_git(folder: str) -> bool:
    return re.fullmatch(rf"agents/[^/]+/workspace/(?!{EVOLUTION}$)[^/]+", folder) is not None


def _refs_within(bundle: bytes) -> str:
    with tempfile.TemporaryDirectory(prefix="grindstone-bundle-") as folder:
        repository = restored(Path(folder) / "workspace", bundle)
        return sha256(refs_of_repository(repository).encode()).hexdigest()
