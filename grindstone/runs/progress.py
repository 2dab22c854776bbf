"""What a run tells whoever watches it: a terminal, a test, nobody."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

from grindstone.llm.budget import Spend
from grindstone.records import Outcome


class RunNamed(NamedTuple):
    """A run has its key, and nothing else yet: it may still wait, or be refused."""

    run_key: str


class RunBegan(NamedTuple):
    """A run began, or goes on."""

    run_key: str
    resumed: bool
    tasks: int


class Advanced(NamedTuple):
    """Some of a run's parts are done: tasks, cycles or pairs, whichever it counts."""

    done: int
    total: int


class AttemptBegan(NamedTuple):
    """An attempt is being made."""

    task_id: str
    episode_id: str = ""


class TurnEnded(NamedTuple):
    """The model of an attempt has answered once more, or its answer was replayed."""

    episode_id: str


class SentAway(NamedTuple):
    """So many attempts are with workers, which tell their turns to nobody else."""

    attempts: int


class Spent(NamedTuple):
    """What the run has used so far, as far as this process knows."""

    spend: Spend


class AttemptEnded(NamedTuple):
    """An attempt has its outcome."""

    subject: str
    """The task, and which side of a comparison."""
    outcome: Outcome
    detail: str
    """How many tests passed, or the error."""
    cycle: int = 0
    episode_id: str = ""


class LearningBegan(NamedTuple):
    """The evolver looks at attempts."""

    detail: str


class Learned(NamedTuple):
    """A change of the workspace, or the reason for none."""

    subject: str
    """The evolution's tag, or the kind of skill written."""
    detail: str


class Note(NamedTuple):
    """A sentence for the reader."""

    text: str


Progress: TypeAlias = (
    RunNamed
    | RunBegan
    | Advanced
    | AttemptBegan
    | TurnEnded
    | AttemptEnded
    | SentAway
    | Spent
    | LearningBegan
    | Learned
    | Note
)

Watcher = Callable[[Progress], None]


def sentence(event: Progress) -> str:
    """Return an event as one line of a log; empty for one that a line would say too little of."""
    match event:
        case Note(text):
            return text
        case Advanced(done, total):
            return f"{done} of {total} done"
        case AttemptEnded(subject, outcome, detail, cycle, _):
            when = f"  cycle {cycle}" if cycle else ""
            return f"{outcome.mark} {subject}{when}  {outcome}: {detail}"
        case Learned(subject, detail):
            return f"  ↳ {subject}: {detail}"
        case _:
            return ""


def ignore(event: Progress) -> None:
    """Watch nothing."""


def told_both(first: Watcher, second: Watcher) -> Watcher:
    """Return a watcher that tells two others."""

    def watch(event: Progress) -> None:
        first(event)
        second(event)

    return watch


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
