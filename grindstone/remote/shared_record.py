"""A small record of a home that several processes change, on one machine or on many.

Each change is made to what was read, and written only where that is still there: by a condition
in object storage, under a lock in a folder. Else it is made anew.
"""

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from grindstone.files import write_atomic
from grindstone.remote.mirror import mirror_of
from grindstone.remote.store import Version

R = TypeVar("R", bound=BaseModel)

PAUSE_S = 0.2
"""Longest pause after a change that another process forestalled."""


class SharedRecord(Generic[R]):
    """A record by the path of its file; in a remote home that of its object."""

    def __init__(self, path: Path, kind: type[R]) -> None:
        """Take the place, and what is kept there."""
        self._path, self._kind, self._mirror = path, kind, mirror_of(path)

    def read(self) -> R | None:
        """Return what is there; None where nothing is, or what is no such record.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        return self._parsed(self._found())

    def change(self, work: Callable[[R | None], R]) -> R:
        """Change the record; return what it is then.

        Args:
            work: Given the record as it is, returns it as it is to be. Called again where
                another process was faster.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        while True:
            found = self._found()
            changed = work(self._parsed(found))
            content = changed.model_dump_json().encode()
            if (found is not None and found.content == content) or self._put(found, content):
                return changed
            time.sleep(random.uniform(0, PAUSE_S))

    def exists(self) -> bool:
        """Return whether there is one.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        return self._found() is not None

    def _found(self) -> Version | None:
        if self._mirror is not None:
            return self._mirror.store.version(self._mirror.name_of(self._path))
        with contextlib.suppress(FileNotFoundError):
            return Version(self._path.read_bytes(), "")
        return None

    def _put(self, found: Version | None, content: bytes) -> bool:
        if self._mirror is not None:
            store, name = self._mirror.store, self._mirror.name_of(self._path)
            if found is None:
                return store.put_new(name, content) is not None
            return store.put_over(name, content, found.e_tag) is not None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            if self._found() != found:
                return False
            write_atomic(self._path, content)
        return True

    def _parsed(self, found: Version | None) -> R | None:
        if found is not None:
            with contextlib.suppress(ValidationError):
                return self._kind.model_validate_json(found.content)
        return None
