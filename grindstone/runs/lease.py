"""Whether what was sent elsewhere still lives, by a file that it keeps writing anew.

No clock is compared between machines: who waits notes on its own clock when the file last
changed. Who is given up by the one that waits finds a file that says so, and stops.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

BEAT_S = 5.0
"""Pause between two writings."""
LOST_S = 60.0
"""After so long without one, what was sent is given up."""

_FENCE = ".given-up"


class Pulse:
    """The signs of life of what was sent elsewhere, as somebody who waits for it sees them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = b""
        self._since = time.monotonic()

    def silent_s(self) -> float:
        """Look once more; return the seconds since the last sign, or since `renew`."""
        with contextlib.suppress(OSError):
            if (seen := self._path.read_bytes()) != self._seen:
                self._seen = seen
                self.renew()
        return time.monotonic() - self._since

    def renew(self) -> None:
        """Count from now on."""
        self._since = time.monotonic()

    def give_up(self) -> None:
        """Have what was sent stop, should it live after all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _fence_of(self._path).touch()


@contextlib.asynccontextmanager
async def beating(path: Path) -> AsyncIterator[None]:
    """Give signs of life while the work within is done, and cancel it when it was given up.

    Args:
        path: Written again and again, removed in the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    work, loop, over = asyncio.current_task(), asyncio.get_running_loop(), threading.Event()
    assert work is not None

    def beat() -> None:  # in a thread: a loop that is busy is not dead
        number = 0
        while not over.is_set():
            with contextlib.suppress(OSError):
                path.write_text(str(number))
            if _fence_of(path).exists():
                loop.call_soon_threadsafe(work.cancel, "it was given up by who sent it")
                return
            number += 1
            over.wait(BEAT_S)

    thread = threading.Thread(target=beat, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(path.unlink, missing_ok=True)


def _fence_of(path: Path) -> Path:
    return path.with_suffix(_FENCE)
