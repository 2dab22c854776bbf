"""Writing files so that a reader sees the old content or the new one, never a part."""

import os
import tempfile
from pathlib import Path

TEMPORARY = ".new-"
"""Begins the name of a file before it is whole; short, for a file's own name may be the longest."""


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file beside its place and rename it there; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def claim(path: Path, content: bytes | str) -> bool:
    """Create a file that must not exist yet, whole or not at all.

    Returns:
        False when another writer holds the name already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        return True
    finally:
        Path(temporary).unlink(missing_ok=True)
