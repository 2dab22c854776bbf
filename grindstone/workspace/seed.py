"""The starting content of a workspace, taken from a seed."""

from pathlib import Path

from grindstone.workspace.changes import FileEntry, apply_changes, compare, read_folder
from grindstone.workspace.git import EVOLUTION


def seed_entries(seed: Path) -> dict[str, FileEntry]:
    """Return what a workspace takes of a seed: regular files; no history, log or cache."""
    left_out = {EVOLUTION, "__pycache__"}
    return {
        path: entry
        for path, entry in read_folder(seed).items()
        if left_out.isdisjoint(path.split("/"))
    }


def copy_seed(seed: Path, target: Path) -> None:
    """Write what a workspace takes of a seed into a new folder."""
    target.mkdir(parents=True)
    apply_changes(compare({}, seed_entries(seed)), target)
