"""Where the bundled tasks, seed workspaces and policies are, and what this user's cache is."""

import os
from pathlib import Path

from grindstone.errors import InputError


def bundled(name: str) -> Path:
    """Return the path of a bundled file or folder such as `seed_workspaces/skillbench`.

    Raises:
        InputError: There is none of that name.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "_bundled", package.parent):
        if (root / name).exists():
            return root / name
    raise InputError(name, "is not bundled", "a file or folder shipped with Grindstone")


def cache_dir() -> Path:
    """Return GRINDSTONE_CACHE_DIR, else `grindstone` in the user's cache folder."""
    chosen = os.environ.get("GRINDSTONE_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "grindstone"
