"""What a mutated copy of a workspace changed, compared file by file with a commit."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from grindstone.base import Frozen
from grindstone.workspace.git import EVOLUTION, Entry

MAX_FILE_BYTES = 1_000_000
MAX_FILES = 5_000

Area = Literal["skills", "drafts", "memory", "prompts", "tools", "task_skills", "other"]
Kind = Literal["added", "changed", "deleted"]


class Change(Frozen):
    """One file that differs."""

    path: str
    kind: Kind
    area: Area
    unit: str = ""
    """The skill, draft or task-skill folder it belongs to; empty elsewhere."""


class Refusal(NamedTuple):
    """Something in the copy that no workspace may hold; left out whatever is allowed."""

    path: str
    reason: str


class Changes(Frozen):
    """All differences, in the order of paths."""

    items: tuple[Change, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items)

    def within(self, *areas: Area) -> tuple[Change, ...]:
        """Return the differences in some areas."""
        return tuple(change for change in self.items if change.area in areas)

    def units(self, area: Area) -> tuple[str, ...]:
        """Return the names of the skills, drafts or task skills that differ."""
        return tuple(sorted({change.unit for change in self.within(area) if change.unit}))


def area_of(path: str) -> tuple[Area, str]:
    """Return the area a path lies in and the unit it belongs to."""
    parts = path.split("/")
    if parts[0] == "skills" and len(parts) > 2:
        if parts[1] == "_drafts":
            return "drafts", parts[2].rsplit(".", 1)[0]
        return "skills", parts[1]
    if parts[0] == "task_skills" and len(parts) > 2:
        return "task_skills", parts[1]
    for area in ("memory", "prompts", "tools"):
        if parts[0] == area and len(parts) > 1:
            return area, ""
    return "other", ""


def compare(folder: Path, base: Mapping[str, Entry]) -> Changes:
    """Return how a folder differs from a commit's files; evolution/ is not looked at.

    Below something refused nothing counts as deleted: what cannot be read is not a wish.
    """
    refused: list[Refusal] = []
    found: dict[str, tuple[str, bool]] = {}
    for relative, path in _files(folder, "", refused):
        if len(found) >= MAX_FILES:
            refused.append(Refusal(relative, f"more than {MAX_FILES} files"))
            break
        found[relative] = blob_id(path)
    blocked = tuple(refusal.path for refusal in refused)
    items = [
        Change(path=path, kind=kind, area=area_of(path)[0], unit=area_of(path)[1])
        for path in sorted(base.keys() | found.keys())
        if (kind := _kind(base.get(path), found.get(path))) is not None
        and not (kind == "deleted" and _below(path, blocked))
    ]
    return Changes(items=tuple(items), refused=tuple(refused))


def apply_change(change: Change, copy: Path, root: Path) -> None:
    """Bring one file of a copy into the workspace at `root`.

    Raises:
        OSError: The copy's file is no regular file any more, or its place is taken.
    """
    place = root / change.path
    if change.kind == "deleted":
        place.unlink(missing_ok=True)
        _remove_empty(place.parent, root)
        return
    content, executable = read_regular(copy / change.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    place.chmod(0o755 if executable else 0o644)


def _remove_empty(folder: Path, stop: Path) -> None:
    while folder != stop and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def blob_id(path: Path) -> tuple[str, bool]:
    """Return a regular file's git blob id and whether its owner may execute it.

    Raises:
        OSError: It is a link, or gone.
    """
    content, executable = read_regular(path)
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(), executable


def read_regular(path: Path) -> tuple[bytes, bool]:
    """Return a regular file's content and its executable bit, following no link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read(), bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)


def _files(folder: Path, prefix: str, refused: list[Refusal]) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        relative = f"{prefix}{entry.name}"
        if relative == EVOLUTION:
            continue
        if (reason := _reason(entry)) is not None:
            printable = relative.encode("utf-8", "backslashreplace").decode()
            refused.append(Refusal(printable, reason))
        elif entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), f"{relative}/", refused)
        else:
            yield relative, Path(entry.path)


def _reason(entry: os.DirEntry[str]) -> str | None:
    """Say why an entry is refused, None where it is a plain file or folder."""
    name = entry.name
    printable = name.isprintable() and "\\" not in name  # undecodable bytes do not print
    mode = entry.stat(follow_symlinks=False)
    folder, regular = stat.S_ISDIR(mode.st_mode), stat.S_ISREG(mode.st_mode)
    reasons = (
        (name.lower() == ".git", "a git folder of its own"),
        (not printable, "its name has characters that are not allowed"),
        (entry.is_symlink(), "a link"),
        (not folder and not regular, "not a regular file"),
        (regular and mode.st_nlink > 1, "a hard link"),
        (regular and mode.st_size > MAX_FILE_BYTES, f"more than {MAX_FILE_BYTES} bytes"),
    )
    return next((reason for refused, reason in reasons if refused), None)


def _kind(before: Entry | None, now: tuple[str, bool] | None) -> Kind | None:
    if before is None:
        return "added"
    if now is None:
        return "deleted"
    return None if now == (before.blob, before.executable) else "changed"


def _below(path: str, blocked: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in blocked)
