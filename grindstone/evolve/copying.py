"""The workspace's files as the evolver may see them, and moving them to and fro.

Only what is listed in `AREAS` and the manifest take part: no git history, no task skills,
no drafts, no logs. Links are neither sent nor taken back.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

AREAS = ("prompts", "skills", "memory", "tools")
MANIFEST = "manifest.yaml"
OBSERVATION = "evolution/current_observation.md"

_FIXED_TIME = 1_700_000_000  # so that `ls -l` reads the same when a step is run again


class Entry(NamedTuple):
    """One regular file."""

    content: bytes
    executable: bool = False


Files = Mapping[str, Entry]
"""Regular files by their path relative to the workspace, with forward slashes."""


def is_shown(path: str) -> bool:
    """Whether a workspace path belongs to the evolver's copy."""
    if path == MANIFEST:
        return True
    parts = path.split("/")
    if parts[0] not in AREAS or len(parts) < 2:
        return False
    return not (parts[0] == "skills" and parts[1].startswith("_"))


def read_folder(root: Path) -> dict[str, Entry]:
    """Return a folder's regular files; links are left out and never followed."""
    found: dict[str, Entry] = {}
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = sorted(name for name in subfolders if name != ".git")
        for name in sorted(names):
            path = Path(folder) / name
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                relative = path.relative_to(root).as_posix()
                found[relative] = Entry(path.read_bytes(), bool(status.st_mode & 0o100))
    return found


def shown_files(root: Path) -> dict[str, Entry]:
    """Return the files of a workspace that its evolver is given."""
    return {path: entry for path, entry in read_folder(root).items() if is_shown(path)}


def write_folder(files: Files, target: Path) -> None:
    """Write files below a folder, with fixed times; folders are made as needed."""
    for path, entry in files.items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(entry.content)
        place.chmod(0o755 if entry.executable else 0o644)
        os.utime(place, (_FIXED_TIME, _FIXED_TIME))
    for folder, _, _ in os.walk(target, topdown=False):
        os.utime(folder, (_FIXED_TIME, _FIXED_TIME))
