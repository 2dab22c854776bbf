"""Objects by name below one address: read, written, written only where nobody else was faster.

All requests are tried again by the library, with growing pauses, on 5xx, 429 and broken
connections, for as long as `PATIENCE`. A conditional write that is told "no" may have been its
own first try, whose answer was lost; so the object is looked at before anybody is told that another
was faster.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from grindstone.errors import Cause, InfrastructureError
from grindstone.extras import from_extra
from grindstone.remote.aws_profile import credentials_of

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

T = TypeVar("T")

AT_ONCE = 16
"""Requests side by side where there are many."""
PATIENCE = timedelta(minutes=3)
"""How long a request is tried again; the library's own ten tries may be over in four seconds."""
EXPIRY_S = 60.0
"""How long new credentials are waited for: a lock is held about as long without a sign of life."""
EXPIRY_LOOK_S = 1.0
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
        self._expiry_s = min(EXPIRY_S, patience.total_seconds())
        self._credentials = credentials_of(url, os.environ)
        self._told: Literal["e_tag", "version"] = "version" if url.startswith("gs:") else "e_tag"

    @cached_property
    def _below(self) -> "ObjectStore":
        from obstore.store import from_url

        return from_url(
            self.url,
            retry_config={"max_retries": _TRIES, "retry_timeout": self._patience},
            credential_provider=self._credentials.read,
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

        def read() -> Version | None:
            try:
                result = obstore.get(self._below, name)
                return Version(bytes(result.bytes()), str(result.meta[self._told]))
            except FileNotFoundError:
                return None

        return self._ask("read", name, read)

    def has(self, name: str) -> bool:
        """Return whether an object is there.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore
        from obstore.exceptions import BaseError

        def look() -> bool:
            try:
                try:
                    obstore.head(self._below, name)
                except BaseError as error:
                    if not _is_refusal(error):
                        raise
                    obstore.get(self._below, name)  # whose answer has room for a reason
            except FileNotFoundError:
                return False
            return True

        return self._ask("look for", name, look)

    def put(self, name: str, content: bytes) -> str:
        """Write an object, whatever was there; return its version's tag.

        Raises:
            InfrastructureError: As `get`.
        """
        import obstore

        def write() -> str:
            return str(obstore.put(self._below, name, content)[self._told])

        return self._ask("write", name, write)

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

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self._below, name)

        self._ask("remove", name, remove)

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

        def look() -> "list[ObjectMeta]":
            return [meta for chunk in obstore.list(self._below, prefix or None) for meta in chunk]

        found = self._ask("list", prefix, look)
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

        def write() -> str | None:
            try:
                return str(obstore.put(self._below, name, content, mode=mode)[self._told])
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                return None

        if (tag := self._ask("write", name, write)) is not None:
            return tag
        there = self.version(name)
        return there.e_tag if there is not None and there.content == content else None

    def _ask(self, what: str, name: str, request: Callable[[], T]) -> T:
        """Make a request; tell an error of the library as what it means for the run.

        Where credentials have expired that somebody may renew, it is made again once they are.
        """
        with from_extra("remote", self.url):
            from obstore.exceptions import BaseError
        while True:
            try:
                answer = request()
            except (BaseError, OSError, ValueError) as error:
                said = " ".join(str(error).split())
                if _EXPIRED in said:
                    waited_s = self._credentials.waited_s()
                    if self._credentials.renewed and waited_s < self._expiry_s:
                        time.sleep(EXPIRY_LOOK_S)
                        continue
                    said = f"{self._credentials.told(waited_s)}: {said}"
                raise InfrastructureError(
                    Cause.REMOTE_HOME, f"{self.url}: cannot {what} {name}: {said[:400]}"
                ) from error
            self._credentials.work()
            return answer


def _is_refusal(error: Exception) -> bool:
    """Return whether an error may be an answer about credentials, of which HEAD tells a status."""
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    return isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or "400" in str(error)
