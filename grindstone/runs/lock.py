"""One process holds a thing of a home, on whatever machine; the lock goes with the process."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from grindstone.errors import InputError
from grindstone.home import RunFolder
from grindstone.remote.mirror import mirror_of
from grindstone.runs.remote_lock import Lost, RemoteLock


@contextlib.contextmanager
def held(path: Path, *, lost: Lost = lambda _: None, note: str = "") -> Iterator[None]:
    """Hold the lock of a path if nobody does; any thread may give it back.

    In a remote home a lease in the storage is held besides.

    Args:
        path: The lock file's.
        lost: Told where a process on another machine has taken it, or may have. Only in a remote
            home.
        note: Kept in the lease, for who finds it held.

    Raises:
        TimeoutError: A living process holds it. Whether one on another machine lives takes up to
            a minute to see.
        InfrastructureError: The storage of a remote home did not answer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mirror = mirror_of(path.parent)
    with contextlib.ExitStack() as both:
        both.enter_context(FileLock(path, blocking=False, thread_local=False))
        if mirror is not None:
            both.enter_context(RemoteLock(mirror, path).hold(wait=False, lost=lost, note=note))
        yield


@contextlib.contextmanager
def sole_process(folder: RunFolder, run_key: str, *, lost: Lost = lambda _: None) -> Iterator[None]:
    """Be the one process that drives a run; `lost` as `held` has it.

    Raises:
        InputError: Another process drives it.
    """
    with contextlib.ExitStack() as drives:
        try:
            drives.enter_context(held(folder.lock, lost=lost))
        except TimeoutError as error:
            raise driven_elsewhere(run_key) from error
        yield


def driven_elsewhere(run_key: str) -> InputError:
    """Return what is told of a run that another process drives."""
    return InputError(
        f"--run-key {run_key}", "is being run by another process", "a run that has ended"
    )
