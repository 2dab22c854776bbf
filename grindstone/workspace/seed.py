"""The starting content of a workspace, copied from a seed."""

import os
import shutil
from pathlib import Path

from grindstone.workspace.git import EVOLUTION


def copy_seed(seed: Path, target: Path) -> None:
    """Copy a seed workspace's regular files; links, histories and caches are left out."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        here = Path(folder)
        out = {name for name in names if name in {".git", "__pycache__", EVOLUTION}}
        return out | {name for name in names if (here / name).is_symlink()}

    shutil.copytree(seed, target, ignore=left_out)
    for folder, _, names in os.walk(target):
        Path(folder).chmod(0o755)
        for name in names:
            path = Path(folder) / name
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
