"""All that a Prefect server has of something: it tells a page at once, of its owner's length."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Protocol, TypeVar
from uuid import UUID


class _Known(Protocol):
    @property
    def id(self) -> UUID: ...


K = TypeVar("K", bound=_Known)


class _Pages:
    """How far a listing has come. Pages shift where something begins or ends meanwhile."""

    def __init__(self, most: int | None) -> None:
        self.most, self.offset, self.ended = most, 0, False
        self._seen: set[UUID] = set()
        self._size: int | None = None  # the server's, once a page has come

    def new(self, page: list[K]) -> list[K]:
        """Take the next page and return what of it was not there before."""
        self._size = self._size or len(page)
        found = [each for each in page if each.id not in self._seen]
        self._seen.update(each.id for each in found)
        self.offset += len(page)
        short = not page or len(page) < self._size
        self.ended = short or (self.most is not None and len(self._seen) >= self.most)
        return found


def each_of(
    read: Callable[..., list[K]], *, most: int | None = None, **filters: Any
) -> Iterator[K]:
    """Yield each object that a client's method tells of, once.

    Args:
        read: Takes `offset`, such as `SyncPrefectClient.read_flow_runs`.
        most: How many there can be, where that is known: saves the question for a page more.
        filters: What else it takes.
    """
    pages = _Pages(most)
    while not pages.ended:
        yield from pages.new(read(**filters, offset=pages.offset))


async def aeach_of(
    read: Callable[..., Awaitable[list[K]]], *, most: int | None = None, **filters: Any
) -> AsyncIterator[K]:
    """Do the same with an async client's method."""
    pages = _Pages(most)
    while not pages.ended:
        for each in pages.new(await read(**filters, offset=pages.offset)):
            yield each
