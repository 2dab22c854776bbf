"""Tasks this process has read, for as long as their folders stay as they were.

A run looks at its tasks before it starts, as it starts and for its plan; of thousands each look
takes as long as the run's first attempts. What is remembered is found by the sign of every file,
so a file that was changed is read again. A change within one tick of the clock that files are
signed by could be missed, so a folder is remembered once it has been left alone for a second.
"""

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock

from grindstone.benchmark.task import Task

_MOST = 20_000
_SETTLED_NS = 1_000_000_000

Sign = tuple[bytes, tuple[tuple[str, str], ...]]
"""A digest of what a folder's files are signed by, and the variables that were passed."""


class LoadedTasks:
    """What was read of which folder; safe to use from threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Sign, Task]] = OrderedDict()
        self._lock = Lock()

    def get(self, folder: str, sign: Sign | None) -> Task | None:
        """Return the folder's task if it was read under this sign."""
        with self._lock:
            known = self._known.get(folder)
        return known[1] if known is not None and known[0] == sign else None

    def keep(self, folder: str, sign: Sign | None, task: Task) -> None:
        """Remember a task under the sign its folder had before it was read."""
        if sign is None:
            return
        with self._lock:
            self._known[folder] = (sign, task)
            self._known.move_to_end(folder)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)


def sign_of(files: Iterable[os.DirEntry[str]], environ: Mapping[str, str]) -> Sign | None:
    """Return the sign of a folder, None where it was changed within the last second."""
    told = hashlib.blake2b(digest_size=16)
    newest = 0
    for entry in files:
        found = entry.stat(follow_symlinks=False)
        newest = max(newest, found.st_ctime_ns)
        told.update(
            f"{entry.path}\0{found.st_mode}\0{found.st_size}\0{found.st_ino}\0"
            f"{found.st_mtime_ns}\0{found.st_ctime_ns}\0".encode("utf-8", "surrogateescape")
        )
    if newest > time.time_ns() - _SETTLED_NS:
        return None
    return told.digest(), tuple(sorted(environ.items()))
