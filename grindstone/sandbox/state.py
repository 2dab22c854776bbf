"""Where sandboxes keep what outlives a process: the user's cache folder."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return GRINDSTONE_CACHE_DIR, else `grindstone` in the user's cache folder."""
    chosen = os.environ.get("GRINDSTONE_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "grindstone"
