"""Objects by name below one address: read, written, written only where nobody else was faster.

All requests are tried again by the library, with growing pauses, on 5xx, 429 and broken
connections, for as long as `PATIENCE`. A conditional write that is told "no" may have been its
own first try, whose answer was lost; so the object is looked at before anybody is told that another
was faster.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from grindstone.errors import Cause, InfrastructureError
from grindstone.extras import from_extra
from grindstone.remote.aws_profile import of_profile

if TYPE_CHECKING:
    from obstore.store import ObjectStore

AT_ONCE = 16
"""Requests side by side where there are many."""
PATIENCE = timedelta(minutes=3)
"""How long a request is tried again; the library's own ten tries may be over in four seconds."""
_TRIES = 1000
_EXPIRED = "<Code>ExpiredToken</Code>"


class StoredObject(NamedTuple):
    """An object as a listing shows it."""

    name: str
    size: int
    modified_ns: int
    tag: str  # of its version, as who wrote it was told; empty where a listing does not say


class Version(NamedTuple):
    """An object's content, and what tells it apart from what it was before.

    Its tag is what the storage wants to be shown by who replaces it: S3 and Azure the ETag, Google
    the object's generation.
    """

    content: bytes
    e_tag: str


class Store:
    """The objects below an address such as `s3://bucket/prefix`."""

    def __init__(self, url: str, patience: timedelta = PATIENCE) -> None:
        """Take the address; credentials come from the environment, or from AWS's own file.

        Args:
            url: The address.
            patience: How long a request is tried again.
        """
        self.url = url
        self._patience = patience
        self._told: Literal["e_tag", "version"] = "version" if url.startswith("gs:") else "e_tag"

    @cached_property
    def _below(self) -> "ObjectStore":
        from obstore.store import from_url

        return from_url(
            self.url,
            retry_config={"max_retries": _TRIES, "retry_timeout": self._patience},
            credential_provider=of_profile(os.environ) if self.url.startswith("s3:") else None,
        )

    def get(self, name: str) -> bytes | None:
        """Return an object's content, None where there is none.

        Raises:
            InfrastructureError: The storage did not answer, or refused (cause `remote_home`).
        """
        found = self.version(name)
        return None if found is None else found.content

    def version(self, name: str) -> Version | None:
        """Return an object with its version, None where there is none.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore

        with self._asked("read", name):
            try:
                result = obstore.get(self._below, name)
                return Version(bytes(result.bytes()), str(result.meta[self._told]))
            except FileNotFoundError:
                return None

    def has(self, name: str) -> bool:
        """Return whether an object is there.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore

        with self._asked("look for", name):
            try:
                obstore.head(self._below, name)
            except FileNotFoundError:
                return False
        return True

    def put(self, name: str, content: bytes) -> str:
        """Write an object, whatever was there; return its version's tag.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore

        with self._asked("write", name):
            return str(obstore.put(self._below, name, content)[self._told])

    def put_new(self, name: str, content: bytes) -> str | None:
        """Write an object that must not be there yet.

        Returns:
            Its version's tag; None where there is another of that name.

        Raises:
            InfrastructureError: As `get`.
        """
        return self._put_if(name, content, "create")

    def put_over(self, name: str, content: bytes, e_tag: str) -> str | None:
        """Write an object where it still is the version that somebody has read.

        Returns:
            Its new version's tag; None where it has changed meanwhile, or is gone.

        Raises:
            InfrastructureError: As `get`.
        """
        return self._put_if(name, content, {self._told: e_tag})

    def delete(self, name: str) -> None:
        """Remove an object, if it is there.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore

        with self._asked("remove", name), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._below, name)

    def delete_all(self, names: Sequence[str]) -> None:
        """Remove objects, as far as they are there, many at a time.

        Raises:
            InfrastructureError: As `get`; the others may be gone.
        """
        with ThreadPoolExecutor(AT_ONCE, "objects") as pool:
            for _ in pool.map(self.delete, names):
                pass

    def listed(self, prefix: str = "") -> list[StoredObject]:
        """Return the objects below a prefix of whole parts of names, by name.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore

        with self._asked("list", prefix):
            found = [meta for chunk in obstore.list(self._below, prefix or None) for meta in chunk]
        return sorted(
            StoredObject(
                meta["path"],
                meta["size"],
                round(meta["last_modified"].timestamp() * 1000) * 1_000_000,
                str(meta[self._told] or ""),
            )
            for meta in found
        )

    def get_all(self, names: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield objects in the order asked for, read many at a time.

        Raises:
            InfrastructureError: As `get`.
        """
        if len(names) < 2:
            yield from ((name, self.get(name)) for name in names)
            return
        with ThreadPoolExecutor(AT_ONCE, "objects") as pool:
            yield from zip(names, pool.map(self.get, names), strict=True)

    def _put_if(self, name: str, content: bytes, mode: Any) -> str | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._asked("write", name):
            try:
                return str(obstore.put(self._below, name, content, mode=mode)[self._told])
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                pass
        there = self.version(name)
        return there.e_tag if there is not None and there.content == content else None

    @contextlib.contextmanager
    def _asked(self, what: str, name: str) -> Iterator[None]:
        """Tell an error of the library as what it means for the run."""
        with from_extra("remote", self.url):
            from obstore.exceptions import BaseError
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            said = " ".join(str(error).split())
            expired = "its credentials have expired: " if _EXPIRED in said else ""
            said = expired + said[:300]
            raise InfrastructureError(
                Cause.REMOTE_HOME, f"{self.url}: cannot {what} {name}: {said}"
            ) from error
