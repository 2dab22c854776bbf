"""One writer at a time, across threads and processes; freed when its holder dies."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from grindstone.workspace.errors import WorkspaceError

POLL_S = 0.02


class WriterLock:
    """A lock on a file. The thread that holds it may take it again."""

    def __init__(self, path: Path, *, timeout_s: float = 120.0) -> None:
        """Take the lock file's path; the file is made when needed and never removed."""
        self.path = path
        self.timeout_s = timeout_s
        self._thread = threading.RLock()
        self._depth = 0

    @property
    def held(self) -> bool:
        """Whether some thread holds it through this object."""
        return self._depth > 0

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the lock; gives whether this is the outermost hold.

        Raises:
            WorkspaceError: Others held it for all of `timeout_s`.
        """
        if not self._thread.acquire(timeout=self.timeout_s):
            raise WorkspaceError(f"{self.path}: another thread wrote for {self.timeout_s:g} s")
        try:
            if self._depth:
                self._depth += 1
                try:
                    yield False
                finally:
                    self._depth -= 1
                return
            handle = self._take()
            self._depth = 1
            try:
                yield True
            finally:
                self._depth = 0
                os.close(handle)  # closing frees the lock
        finally:
            self._thread.release()

    def _take(self) -> int:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + self.timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(handle)
                    raise WorkspaceError(
                        f"{self.path}: another process wrote for {self.timeout_s:g} s"
                    ) from None
                time.sleep(POLL_S)
            except BaseException:
                os.close(handle)
                raise
            else:
                return handle
