"""A workspace's files in memory, and the one comparison between two states of them."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple


class FileEntry(NamedTuple):
    """One regular file."""

    content: bytes
    executable: bool = False


Files = Mapping[str, FileEntry]
"""Regular files by their path relative to the workspace, with forward slashes."""


class Change(NamedTuple):
    """One file that is not as it was."""

    path: str
    kind: Literal["added", "changed", "deleted"]
    entry: FileEntry | None  # None: deleted


def read_folder(root: Path) -> dict[str, FileEntry]:
    """Return a folder's regular files; links and histories are left out and never followed."""
    found: dict[str, FileEntry] = {}
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if name != ".git")
        for name in sorted(names):
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                relative = path.relative_to(root).as_posix()
                found[relative] = FileEntry(path.read_bytes(), bool(status.st_mode & stat.S_IXUSR))
    return found


def compare(before: Files, after: Files) -> tuple[Change, ...]:
    """Return what differs between two states, by path."""
    changes: list[Change] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if new is None:
            changes.append(Change(path, "deleted", None))
        elif old is None:
            changes.append(Change(path, "added", new))
        elif old != new:
            changes.append(Change(path, "changed", new))
    return tuple(changes)


def apply_changes(changes: Iterable[Change], root: Path) -> None:
    """Bring changes into the folder `root`; a folder that they leave empty goes too.

    Raises:
        OSError: A file's place is taken, by a folder for instance.
    """
    # Deleted first: what was a file may be a folder now.
    for change in sorted(changes, key=lambda change: change.entry is not None):
        place = root / change.path
        if change.entry is None:
            place.unlink(missing_ok=True)
            _remove_empty(place.parent, root)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(change.entry.content)
        place.chmod(0o755 if change.entry.executable else 0o644)


def skill_of(path: str) -> str | None:
    """Return the skill a path belongs to; None for files that are not in a skill's folder."""
    parts = path.split("/")
    return parts[1] if parts[0] == "skills" and len(parts) > 2 else None


def skill_names(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the skills whose SKILL.md is among some paths, in order."""
    found = {skill_of(path) for path in paths if path.endswith("/SKILL.md")}
    return tuple(sorted(name for name in found if name is not None))


def _remove_empty(folder: Path, stop: Path) -> None:
    while folder != stop and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
