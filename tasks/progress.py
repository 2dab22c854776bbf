"""What a run tells whoever watches it: a terminal, a test, nobody."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One thing that happened."""

    what: str  # "plan", "attempt", "scored", "evolve", "evolved", "note"
    subject: str = ""  # the task or skill it concerns
    detail: str = ""
    cycle: int = 0
    done: int = 0
    total: int = 0


Watcher = Callable[[Progress], None]


def ignore(event: Progress) -> None:
    """Watch nothing."""
