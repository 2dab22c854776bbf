"""Async work for code that awaits nothing, and that other threads end."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, beside the event loop of a notebook where one is running.

    A running loop cannot be entered twice, so the coroutine then has a loop and a thread of
    its own, with the caller's context variables; what it is given must not belong to the
    running loop.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(context.run, asyncio.run, work).result()


def ender(what: str) -> Callable[[str], None]:
    """Return what cancels the present task, called from any thread with the reason.

    Args:
        what: Is cancelled; the cancellation says that, and the reason.
    """
    work, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert work is not None

    def end(why: str) -> None:
        loop.call_soon_threadsafe(work.cancel, f"{what}: {why}")

    return end
