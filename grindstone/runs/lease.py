"""Whether what was sent elsewhere still lives, by a file that it keeps writing anew.

No clock is compared between machines: who waits notes on its own clock when the file last
changed. Who is given up by the one that waits finds its file removed, or another one that says so,
and stops, whenever it begins.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from grindstone.errors import InfrastructureError
from grindstone.remote.home_files import files_of
from grindstone.remote.mirror import mirror_of

BEAT_S = 5.0
"""Pause between two writings."""
LOST_S = 60.0
"""After so long without one, what was sent is given up."""

_FENCE = ".given-up"


class Pulse:
    """The signs of life of what was sent elsewhere, as somebody who waits for it sees them."""

    def __init__(self, path: Path) -> None:
        self._sign, self._fence = Sign(path), Sign(_fence_of(path))
        self._seen: bytes | None = None
        self._since = time.monotonic()

    def silent_s(self) -> float:
        """Look once more; return the seconds since the last sign, or since `renew`."""
        with contextlib.suppress(OSError, InfrastructureError):
            seen = self._sign.read()
            if seen is not None and seen != self._seen:
                self._seen = seen
                self.renew()
        return time.monotonic() - self._since

    def renew(self) -> None:
        """Count from now on."""
        self._since = time.monotonic()

    def give_up(self) -> None:
        """Have what was sent stop, should it live after all, or be begun once more."""
        self._fence.write("")
        if self._seen is not None:
            self._sign.remove()


@contextlib.asynccontextmanager
async def beating(path: Path) -> AsyncIterator[None]:
    """Give signs of life while the work within is done, and cancel it when it was given up.

    Args:
        path: Written again and again, removed in the end.
    """
    sign, fence = Sign(path), Sign(_fence_of(path))
    work, loop, over = asyncio.current_task(), asyncio.get_running_loop(), threading.Event()
    assert work is not None

    def beat() -> None:  # in a thread: a loop that is busy is not dead
        number, since, given_up = 0, time.monotonic(), False
        while not over.is_set():
            with contextlib.suppress(OSError, InfrastructureError):
                given_up = fence.read() is not None or not sign.renew(str(number))
                since, number = time.monotonic(), number + 1
            if given_up or time.monotonic() - since > LOST_S:  # nobody saw a sign for as long
                loop.call_soon_threadsafe(work.cancel, "it was given up by who sent it")
                return
            over.wait(BEAT_S)

    thread = threading.Thread(target=beat, name="signs of life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        await asyncio.to_thread(thread.join)
        with contextlib.suppress(InfrastructureError):
            await asyncio.to_thread(sign.remove)


def clear(folder: Path, ended: Callable[[str], bool], *, all_done: bool) -> None:
    """Remove what is left of the signs of life in a folder: who gave them has ended, or has to.

    Args:
        folder: Of signs of life.
        ended: Whether what gave those of a name has.
        all_done: Whether who begins once more finds nothing to do; else it has to find that it was
            given up, which is then left.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """

    def left(path: Path) -> bool:
        return ended(path.stem) and (all_done or path.suffix != _FENCE)

    files_of(folder).sweep(folder, left)


def names(folder: Path) -> set[str]:
    """Return the names under which signs of life are in a folder.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        return {path.name for path in folder.glob("*")}
    return {Path(each.name).name for each in mirror.store.listed(mirror.name_of(folder))}


def _fence_of(path: Path) -> Path:
    return path.with_suffix(_FENCE)


class Sign:
    """A small file, in a remote home an object, that one side writes and the other one reads."""

    def __init__(self, path: Path) -> None:
        self._path, self._mirror = path, mirror_of(path)
        self._version: str | None = None  # as `renew` has left it

    def read(self) -> bytes | None:
        """Return what was written last, None where nothing is."""
        if self._mirror is not None:
            return self._mirror.pressing.get(self._mirror.name_of(self._path))
        with contextlib.suppress(FileNotFoundError):
            return self._path.read_bytes()
        return None

    def write(self, text: str) -> None:
        """Write it anew."""
        if self._mirror is not None:
            self._mirror.pressing.put(self._mirror.name_of(self._path), text.encode())
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(text)

    def renew(self, text: str) -> bool:
        """Write it anew; return False where somebody has removed what was written before."""
        if self._mirror is None:
            gone = self._version is not None and not self._path.exists()
            self._version = None if gone else text
            if not gone:
                self.write(text)
            return not gone
        name = self._mirror.name_of(self._path)
        if self._version is None:
            self._version = self._mirror.pressing.put(name, text.encode())
            return True
        written = self._mirror.pressing.put_over(name, text.encode(), self._version)
        self._version = written or self._version
        return written is not None

    def remove(self) -> None:
        """Remove it, if it is there."""
        if self._mirror is not None:
            self._mirror.pressing.delete(self._mirror.name_of(self._path))
        else:
            self._path.unlink(missing_ok=True)
