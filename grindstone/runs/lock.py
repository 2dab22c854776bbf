"""One process drives a run."""

import contextlib
from collections.abc import Iterator

from filelock import FileLock, Timeout

from grindstone.errors import InputError
from grindstone.home import RunFolder


@contextlib.contextmanager
def sole_process(folder: RunFolder, run_key: str) -> Iterator[None]:
    """Be the one process that drives a run; the lock goes when the process does.

    Raises:
        InputError: Another process drives it.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        problem = "is being run by another process"
        raise InputError(f"--run-key {run_key}", problem, "a run that has ended") from error
    try:
        yield
    finally:
        lock.release()
