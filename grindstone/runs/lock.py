"""One process drives a run."""

import contextlib
from collections.abc import Callable, Iterator

from filelock import FileLock, Timeout

from grindstone.errors import InputError
from grindstone.home import RunFolder
from grindstone.remote.mirror import mirror_of
from grindstone.runs.remote_lock import RemoteLock


@contextlib.contextmanager
def sole_process(
    folder: RunFolder, run_key: str, *, lost: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Be the one process that drives a run, on whatever machine; the lock goes with the process.

    Args:
        folder: The run's.
        run_key: The run.
        lost: Called from another thread where a process on another machine has taken over,
            since this one gave no sign of life. Only in a remote home.

    Raises:
        InputError: Another process drives it.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    lock, mirror = FileLock(folder.lock, blocking=False), mirror_of(folder.root)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock)
            if mirror is not None:
                elsewhere = RemoteLock(mirror, folder.lock)
                held.enter_context(elsewhere.hold(wait=False, lost=lost))
        except (Timeout, TimeoutError) as error:
            raise driven_elsewhere(run_key) from error
        yield


def driven_elsewhere(run_key: str) -> InputError:
    """Return what is told of a run that another process drives."""
    return InputError(
        f"--run-key {run_key}", "is being run by another process", "a run that has ended"
    )
