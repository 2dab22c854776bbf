"""Attempts handed to a slice that is at work: no process has to start for them.

    runs/<key>/slices/<slice>.more-<number>

What is handed, and the slice's word that it takes no more, are files with the same numbers, each
written once: whoever is first has the number. So nothing is handed to a slice that is done.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from grindstone.attempt.spec import AttemptSpec
from grindstone.base import Frozen
from grindstone.files import claim
from grindstone.remote.mirror import mirror_of


class Handed(Frozen):
    """Attempts that were handed to a slice; none: the slice's word that it takes no more."""

    attempts: tuple[AttemptSpec, ...] = ()


class Handing:
    """What is handed to one slice, as its sender or the slice itself sees it."""

    def __init__(self, pulse: Path) -> None:
        """Take the file of the slice's signs of life; nothing of what was handed is read yet."""
        self._pulse, self._mirror = pulse, mirror_of(pulse)
        self._number = 0

    def hand(self, specs: Iterable[AttemptSpec]) -> bool:
        """Hand a slice more attempts; return False where it takes no more.

        Raises:
            InfrastructureError: The storage of a remote home did not answer.
        """
        return self._write(Handed(attempts=tuple(specs)))

    def close(self) -> bool:
        """Take no more; return False where something was handed that is not yet taken.

        Raises:
            InfrastructureError: The storage of a remote home did not answer.
        """
        return self._write(Handed())

    def take(self) -> tuple[AttemptSpec, ...]:
        """Return the next attempts that were handed; none where there are none, or none yet.

        Raises:
            InfrastructureError: The storage of a remote home did not answer.
        """
        found = self._read()
        handed = Handed() if found is None else Handed.model_validate_json(found)
        if handed.attempts:
            self._number += 1
        return handed.attempts

    def _write(self, handed: Handed) -> bool:
        path, content = self._path, handed.model_dump_json().encode()
        if self._mirror is not None:
            written = self._mirror.store.put_new(self._mirror.name_of(path), content) is not None
        else:
            written = claim(path, content)
        if written:
            self._number += 1
        return written

    def _read(self) -> bytes | None:
        if self._mirror is not None:
            return self._mirror.get(self._path)
        with contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes()
        return None

    @property
    def _path(self) -> Path:
        return self._pulse.with_suffix(f".more-{self._number}")
