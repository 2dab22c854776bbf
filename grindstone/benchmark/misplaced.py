"""What a folder without tasks holds instead, so that its error says what to name or to convert."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from grindstone.errors import InputError

_MOST_FOLDERS = 2_000
"""Folders looked into at most: a home directory is no collection, and must not cost minutes."""

_DEEPEST = 3
"""Levels below the folder that was named: a repository's `datasets/NAME/TASK` is at the third."""


def no_task_in(root: Path, is_task: Callable[[Path], bool]) -> InputError:
    """Return the error for a folder that holds no task, with where some lie and in which format."""
    old = None
    waiting = deque([(root, 0)])
    looked = 0
    while waiting and looked < _MOST_FOLDERS:
        folder, depth = waiting.popleft()
        looked += 1
        if depth and is_task(folder):
            below = folder.parent.relative_to(root)
            return InputError(str(root), f"no task in it, but in {below} below it", "that folder")
        if old is None and (folder / "task.yaml").is_file():
            old = folder
        if depth < _DEEPEST:
            waiting.extend((inner, depth + 1) for inner in _folders(folder))
    if old is not None:
        where = "it" if old == root else f"its {old.relative_to(root)}"
        return InputError(
            str(root),
            f"no task in it: {where} is of Terminal-Bench's older format (task.yaml)",
            "Harbor's format, to which its own `harbor tasks migrate` converts",
        )
    return InputError(
        str(root),
        "no task in it",
        "folders with instruction.md, task.toml, environment/ and tests/",
    )


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]
