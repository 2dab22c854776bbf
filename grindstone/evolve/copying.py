"""The workspace's files as the evolver may see them, and laying them out for it.

Only the layers and the manifest take part: no git history, no task skills, no drafts, no
logs. Links are neither sent nor taken back.
"""

import os
from pathlib import Path

from grindstone.workspace.changes import FileEntry, Files
from grindstone.workspace.files import WorkspaceFiles
from grindstone.workspace.manifest import MANIFEST, Manifest

OBSERVATION = "evolution/current_observation.md"

_FIXED_TIME = 1_700_000_000  # so that `ls -l` reads the same when a step is run again


def is_shown(path: str, manifest: Manifest) -> bool:
    """Whether a workspace path belongs to the evolver's copy."""
    if path == MANIFEST:
        return True
    if manifest.layer_of(path) is None:
        return False
    return not path.startswith("skills/_")  # drafts


def shown_files(files: WorkspaceFiles) -> dict[str, FileEntry]:
    """Return the files of a workspace that its evolver is given."""
    manifest = files.manifest
    return {path: entry for path, entry in files.entries().items() if is_shown(path, manifest)}


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
