"""A fresh SQLite database for a Prefect server, without running every migration again.

A new database costs a server over a hundred migrations, more than the rest of its start.
The first server of a Prefect version leaves a copy of its database, still without runs, in
the user's cache folder; later homes begin with that copy. PostgreSQL is left to Prefect.
"""

import contextlib
import importlib.metadata
import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

OWN_TO_A_SERVER = ("configuration",)
"""Tables emptied in the copy: the key that encrypts blocks and the server's identity."""


def template(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the copy is kept, there or not."""
    cache = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    version = importlib.metadata.version("prefect")
    return Path(cache) / "grindstone" / f"prefect-{version}.db"


def begin_with_copy(database: Path) -> bool:
    """Lay the copy where a new database is wanted; return whether there was one to lay."""
    kept = template()
    if database.exists() or not kept.exists():
        return False
    part = database.with_suffix(f".{os.getpid()}")
    shutil.copyfile(kept, part)
    part.replace(database)
    return True


def keep_copy(database: Path) -> None:
    """Keep a copy of a database that a server has just made; a cache, so it may fail."""
    kept = template()
    part = kept.with_suffix(f".{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with (
            contextlib.closing(sqlite3.connect(database)) as made,
            contextlib.closing(sqlite3.connect(part)) as copy,
        ):
            made.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            for table in OWN_TO_A_SERVER:
                copy.execute(f"DELETE FROM {table}")
            copy.commit()
            copy.execute("VACUUM")
        part.replace(kept)
    except (OSError, sqlite3.Error):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
