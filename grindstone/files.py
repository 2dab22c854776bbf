"""Files that a reader sees whole: the old content or the new one, never a part."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from grindstone.errors import InputError

M = TypeVar("M", bound=BaseModel)

TEMPORARY = ".new-"
"""Begins the name of a file before it is whole; short, for a file's own name may be the longest."""


def from_home(path: Path | str) -> Path:
    """Return a path whose `~` is the user's folder; of an unknown user it is left as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # nobody of that name
        return Path(path)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Within, an error of the system that names no file, as one of writing does, names this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file beside its place and rename it there; folders are made as needed.

    What stands there and is no file, a device or a pipe, is written to and not replaced.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file() and not path.is_dir():
        with named(path), path.open("wb") as special:
            special.write(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with named(path), os.fdopen(handle, "wb") as file:
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
        with named(path), os.fdopen(handle, "wb") as file:
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


def sweep(folder: Path, unwanted: Callable[[Path], bool]) -> None:
    """Remove the files of a folder that are unwanted; the folder need not be there."""
    for path in folder.glob("*"):
        if unwanted(path):
            path.unlink(missing_ok=True)


def read_record(path: Path, kind: type[M], what: str) -> M:
    """Return a record that was written as JSON.

    Args:
        path: The file.
        kind: Its class.
        what: What it is, for the person who reads that it is none.

    Raises:
        InputError: It was changed since, and holds no such record.
        OSError: It cannot be read.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(str(path), f"is no {what}", "the file as it was written") from error
