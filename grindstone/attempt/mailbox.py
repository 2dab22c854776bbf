"""What a slice at work and who sent it leave each other, beside the slice's signs of life.

    runs/<key>/slices/<slice>.more-<number>    attempts it is handed: no process has to start
    runs/<key>/slices/<slice>.ended            why it ended, where that ends the run

What is handed, and the slice's word that it takes no more, are files with the same numbers, each
written once: whoever is first has the number. So nothing is handed to a slice that is done.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from grindstone.attempt.spec import AttemptSpec
from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError, GrindstoneError, InputError
from grindstone.remote.home_files import files_of


class Handed(Frozen):
    """Attempts that were handed to a slice; none: the slice's word that it takes no more."""

    attempts: tuple[AttemptSpec, ...] = ()


class SliceEnd(Frozen):
    """Why a slice ended that says the run's work is over: a ceiling, or what it was given."""

    budget: str = ""
    ceiling: str = ""
    limit: float = 0.0
    faults: tuple[tuple[str, str, str], ...] = ()

    @property
    def error(self) -> GrindstoneError:
        """The error as who sent the slice meets it."""
        if self.budget:
            return BudgetExceededError(self.budget, ceiling=self.ceiling, limit=self.limit)
        return InputError.together([InputError(*fault) for fault in self.faults])


class SliceMailbox:
    """What is left for one slice and by it, as its sender or the slice itself sees it.

    Each verb raises an InfrastructureError where the storage of a remote home does not answer.
    """

    def __init__(self, pulse: Path) -> None:
        """Take the file of the slice's signs of life; nothing of what was handed is read yet."""
        self._pulse, self._files = pulse, files_of(pulse)
        self._number = 0

    def hand(self, specs: Iterable[AttemptSpec]) -> bool:
        """Hand a slice more attempts; return False where it takes no more."""
        return self._claim(Handed(attempts=tuple(specs)))

    def close(self) -> bool:
        """Take no more; return False where something was handed that is not yet taken."""
        return self._claim(Handed())

    def take(self) -> tuple[AttemptSpec, ...]:
        """Return the next attempts that were handed; none where there are none, or none yet."""
        found, handed = self._read(self._next), Handed()
        if found is not None:
            with contextlib.suppress(ValidationError):  # damaged: who sent it sends it again
                handed = Handed.model_validate_json(found)
        if handed.attempts:
            self._number += 1
        return handed.attempts

    def tell_end(self, error: GrindstoneError) -> None:
        """Leave word of why a slice ended, where it is one that ends the run."""
        if isinstance(error, BudgetExceededError):
            said = SliceEnd(budget=str(error), ceiling=error.ceiling, limit=error.limit)
        elif isinstance(error, InputError):
            faults = tuple((each.where, each.problem, each.expected) for each in error.each)
            said = SliceEnd(faults=faults)
        else:
            return
        self._files.write(self._end, said.model_dump_json())

    def told_end(self) -> GrindstoneError | None:
        """Return the error that the slice left word of; None where it left none."""
        said = self._read(self._end)
        if said is not None:
            with contextlib.suppress(ValidationError):  # damaged: as if none was left
                return SliceEnd.model_validate_json(said).error
        return None

    def _claim(self, handed: Handed) -> bool:
        claimed = self._files.claim(self._next, handed.model_dump_json())
        if claimed:
            self._number += 1
        return claimed

    def _read(self, path: Path) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):  # or removed meanwhile: the run is over
            return path.read_bytes() if self._files.fetch(path) else None
        return None

    @property
    def _next(self) -> Path:
        return self._pulse.with_suffix(f".more-{self._number}")

    @property
    def _end(self) -> Path:
        return self._pulse.with_suffix(".ended")
