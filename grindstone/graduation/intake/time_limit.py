"""A limit of time for what live work waits for and nothing else ends: a tool, a check of the work.

What runs over is called off as a task of asyncio is, and given a moment to let go of what it
holds. One that does not end even then is left behind, so that it holds up nothing. The limit does
not reach code that keeps the event loop to itself: what is slow and waits goes into a thread.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

TOOL_TIMEOUT_S = 600.0
"""Seconds that a call of a tool may take where nobody says otherwise."""

GRACE_S = 2.0
"""Seconds that what was called off has to end."""

T = TypeVar("T")


class OverTimeError(TimeoutError):
    """Something did not return in time and was called off; whether it was done is not known."""


async def within(limit_s: float, what: str, work: Awaitable[T]) -> T:
    """Return what comes of work that may take so long and no longer.

    Args:
        limit_s: Seconds.
        what: Its name, for the error.
        work: What is waited for.

    Raises:
        OverTimeError: It did not return in time.
        Exception: What it raised.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        await _call_off(task)
        raise
    if not done:
        await _call_off(task)
        raise OverTimeError(
            f"{what} did not return within {limit_s:g} s and was called off: "
            "whether it was done is not known"
        )
    return task.result()


async def _call_off(task: "asyncio.Future[Any]") -> None:
    task.add_done_callback(_seen)
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE_S)


def _seen(task: "asyncio.Future[Any]") -> None:
    """Take note of what a task that was called off raised: nobody else asks for it."""
    if not task.cancelled():
        task.exception()
