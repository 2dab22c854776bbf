"""Attempts that go to a machine which shares nothing with this one but a remote home."""

from collections.abc import Iterable
from pathlib import Path

from grindstone.attempt.spec import AttemptSpec
from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError, GrindstoneError, InputError
from grindstone.files import write_atomic
from grindstone.home import Home
from grindstone.remote.folders import fetch_folder, put_folder
from grindstone.remote.mirror import mirror_of


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


def pack(home: Home, specs: Iterable[AttemptSpec]) -> str | None:
    """Put what attempts need into storage; return the home's address, None for a folder's.

    Raises:
        InfrastructureError: The storage did not take it.
    """
    if home.mirror is None:
        return None
    for spec in specs:
        put_folder(home.mirror, spec.task_dir, spec.task_digest)
    return home.mirror.store.url


def unpack(specs: Iterable[AttemptSpec], address: str) -> tuple[AttemptSpec, ...]:
    """Return attempts with places of this machine, and what they need at them.

    Raises:
        InputError: A task is not in storage.
        InfrastructureError: The storage did not answer.
    """
    home = Home.at(address)
    assert home.mirror is not None
    found = []
    for spec in specs:
        folder = fetch_folder(home.mirror, spec.task_digest, spec.task_dir.name)
        found.append(spec.model_copy(update={"home": home.root, "task_dir": folder}))
    return tuple(found)


def tell_end(pulse: Path, error: GrindstoneError) -> None:
    """Leave word of why a slice ended, where it is one that ends the run."""
    mirror = mirror_of(pulse)
    said: SliceEnd | None = None
    if isinstance(error, BudgetExceededError):
        said = SliceEnd(budget=str(error), ceiling=error.ceiling, limit=error.limit)
    elif isinstance(error, InputError):
        faults = tuple((each.where, each.problem, each.expected) for each in error.each)
        said = SliceEnd(faults=faults)
    if said is None:
        return
    path, content = _end_of(pulse), said.model_dump_json()
    if mirror is None:
        write_atomic(path, content)
    else:
        mirror.store.put(mirror.name_of(path), content.encode())


def end_told(pulse: Path) -> GrindstoneError | None:
    """Return the error that a slice left word of; None where it left none."""
    mirror, path, said = mirror_of(pulse), _end_of(pulse), None
    if mirror is not None:
        said = mirror.get(path)
    elif path.exists():
        said = path.read_bytes()
    return None if said is None else SliceEnd.model_validate_json(said).error


def _end_of(pulse: Path) -> Path:
    return pulse.with_suffix(".ended")
