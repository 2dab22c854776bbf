"""One writer at a time, across threads and processes; freed when its holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from grindstone.workspace.errors import WorkspaceError

POLL_S = 0.02


class WriterLock:
    """A lock on a file. The thread that holds it may take it again."""

    def __init__(self, path: Path, *, timeout_s: float = 120.0) -> None:
        """Take the lock file's path; the file is made when needed and never removed."""
        self.path = path
        self.timeout_s = timeout_s
        self._lock = FileLock(path, timeout=timeout_s, poll_interval=POLL_S)

    @property
    def held(self) -> bool:
        """Whether this thread holds it through this object."""
        return self._lock.is_locked

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the lock; gives whether this is the outermost hold.

        Raises:
            WorkspaceError: Others held it for all of `timeout_s`.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise WorkspaceError(
                f"{self.path}: others have been writing for {self.timeout_s:g} s"
            ) from None
        try:
            yield self._lock.lock_counter == 1
        finally:
            self._lock.release()
