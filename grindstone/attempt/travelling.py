"""Attempts that go to a machine which shares nothing with this one but a remote home."""

from collections.abc import Iterable

from grindstone.attempt.spec import AttemptSpec
from grindstone.home import Home
from grindstone.remote.folders import fetch_folder, put_folder


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
