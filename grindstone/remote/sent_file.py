"""Small files that travel by digest: put into storage once, read there by whoever was sent to work.

    <home>/files/<sha256>       in storage

The address stands where a run's settings name a file, so they mean the same on every machine.
"""

import re
from hashlib import sha256

from grindstone.errors import InputError
from grindstone.remote.place import address_of
from grindstone.remote.store import Store

FILES = "files"

_SENT = re.compile(rf".*:/.+/{FILES}/[0-9a-f]{{64}}")


def put_file(store: Store, content: bytes) -> str:
    """Put a file into the storage of a home; return its address.

    Raises:
        InfrastructureError: The storage did not take it.
    """
    name = f"{FILES}/{sha256(content).hexdigest()}"
    store.put_new(name, content)
    return f"{store.url}/{name}"


def is_sent_file(place: str) -> bool:
    """Return whether a file is one that was sent, by its address."""
    return _SENT.fullmatch(place) is not None


def sent_file(place: str) -> bytes:
    """Return what an address of a sent file names.

    Raises:
        InputError: It is not there, or not as it was sent.
        InfrastructureError: The storage did not answer.
    """
    where, _, wanted = place.rpartition(f"/{FILES}/")
    content = Store(address_of(where) or where).get(f"{FILES}/{wanted}")
    if content is None or sha256(content).hexdigest() != wanted:
        problem = "is not there" if content is None else "is not what was sent"
        raise InputError(place, problem, "the file, put there by who sent the run")
    return content
