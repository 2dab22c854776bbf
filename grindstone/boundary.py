"""The one line at which an exception nobody foresaw stops: it costs a step, not the run.

A step is one attempt, guard, evolution, judgement, report, artifact or check. What it raises of
`FORESEEN` passes, since `errors` says what is done about it. Anything else becomes an
`InternalError`: no score, no retry; whoever asked for the step goes on without it. Where a run
is open its traceback is kept with the run (`keeping`), and the report counts it.
Cancellation is no `Exception` and passes everywhere.
"""

import contextlib
import logging
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

from grindstone.errors import (
    BudgetExceededError,
    CalledOffError,
    InfrastructureError,
    InputError,
    InternalError,
    RefusedError,
)

FORESEEN = (InputError, RefusedError, BudgetExceededError, CalledOffError, InfrastructureError)
ERROR_CHARS = 500
_LOG = logging.getLogger(__name__)


class Incident(NamedTuple):
    """What nobody foresaw, where it happened."""

    step: str
    error: str  # its class and message, cut
    traceback: str
    episode_id: str = ""  # of the attempt it cost, if it was one


Keeper = Callable[[Incident], str]
"""Keeps an incident; returns where, in words for a person."""


class _Run(NamedTuple):
    keep: Keeper
    passing: Callable[[Exception], bool]
    done: Callable[[str], None]


_RUN: ContextVar[_Run | None] = ContextVar("grindstone_boundary", default=None)


def _never(_error: Exception) -> bool:
    return False


def _ignore(_step: str) -> None:
    pass


@contextlib.contextmanager
def keeping(
    keep: Keeper,
    *,
    passing: Callable[[Exception], bool] = _never,
    done: Callable[[str], None] = _ignore,
) -> Iterator[None]:
    """Have what is not foreseen within kept.

    Args:
        keep: Keeps it.
        passing: Whether an error ends the run and no step: its server is lost, it is cancelled.
        done: Told of each step that came to its end.
    """
    token = _RUN.set(_Run(keep, passing, done))
    try:
        yield
    finally:
        _RUN.reset(token)


@contextlib.contextmanager
def step_boundary(step: str, *, episode_id: str = "") -> Iterator[None]:
    """Let a step fail for reasons nobody foresaw without taking the run along.

    Args:
        step: What it is, for the person who reads the report.
        episode_id: Where it is an attempt; a later score of the same one settles the matter.

    Raises:
        InternalError: In place of anything that is neither foreseen nor passes.
    """
    run = _RUN.get()
    try:
        yield
    except FORESEEN:
        raise
    except Exception as error:
        if run is not None and run.passing(error):
            raise
        said = _printable(f"{type(error).__name__}: {error}")[:ERROR_CHARS]
        trace = _printable("".join(traceback.format_exception(error)))
        incident = Incident(_printable(step), said, trace, episode_id)
        where = f" ({run.keep(incident)})" if run is not None else ""
        if run is None:
            _LOG.info(said, exc_info=error)
        raise InternalError(f"{incident.step}: {said}{where}") from error
    step_done(step)


def step_done(step: str) -> None:
    """Say that a step came to its end; what an earlier process lost in it no longer counts."""
    run = _RUN.get()
    if run is not None:
        run.done(_printable(step))


def _printable(text: str) -> str:
    """Return text that any file can hold: what a sandbox says may have lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()
