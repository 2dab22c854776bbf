"""One process drives a run."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from grindstone.errors import InputError
from grindstone.home import RunFolder


@contextlib.contextmanager
def sole_process(folder: RunFolder, run_key: str) -> Iterator[None]:
    """Be the one process that drives a run; the lock goes when the process does.

    Raises:
        InputError: Another process drives it.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            problem = "is being run by another process"
            raise InputError(f"--run-key {run_key}", problem, "a run that has ended") from error
        yield
    finally:
        os.close(handle)
