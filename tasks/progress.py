"""What a run tells whoever watches it: a terminal, a test, nobody."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple


class Progress(NamedTuple):
    """One thing that happened."""

    what: str  # "plan", "attempt", "scored", "evolve", "evolved", "note"
    subject: str = ""  # the run, task or skill it concerns
    detail: str = ""
    cycle: int = 0
    done: int = 0
    total: int = 0


Watcher = Callable[[Progress], None]


def ignore(event: Progress) -> None:
    """Watch nothing."""


_WATCHER: ContextVar[Watcher] = ContextVar("grindstone_watcher", default=ignore)


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Have the runs within told to a watcher."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def current_watcher() -> Watcher:
    """Return who watches; nobody unless `watching` said otherwise."""
    return _WATCHER.get()
