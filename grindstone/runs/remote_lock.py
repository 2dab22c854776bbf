"""A lock on something of a remote home: an object that its holder keeps writing anew.

Who waits notes on its own clock when the object last changed, so no clock is compared between
machines. Each holder has a higher number than all before it. One that finds that another has
written the object, or could not write it for as long as others would wait, holds it no more and is
told. Where a person has removed or damaged the object, and nobody has taken it since, its holder
writes it anew.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.errors import InfrastructureError
from grindstone.remote.mirror import Mirror
from grindstone.remote.store import Version
from grindstone.runs.lease import BEAT_S, LOST_S
from grindstone.sandbox.owner import Owner, this_host, this_process


class Holding(Frozen):
    """Who holds the lock, as its object says."""

    number: int = 0
    holder: str = ""  # empty: nobody
    host: str = ""
    pid: int = 0
    started: str = ""
    beat: int = 0
    note: str = ""  # of the holder, for who finds it held

    @property
    def over(self) -> bool:
        """Whether nobody holds it, or its holder is known to be dead."""
        return not self.holder or not Owner(self.host, self.pid, self.started).alive()


Lost = Callable[[str], None]
"""Told, from another thread, why a lock is held no more: a sentence."""

SILENT = "storage took no sign of life for a minute, so another machine may have taken it"


class _LostError(Exception):
    """A lock is held no more."""


class RemoteLock:
    """A lock of a remote home, by the path of its file."""

    def __init__(self, mirror: Mirror, path: Path) -> None:
        """Take the mirror, and the path whose object is the lock."""
        self._store, self._name = mirror.store, mirror.name_of(path)
        self._pressing = mirror.pressing

    @contextlib.contextmanager
    def hold(
        self, *, wait: bool = True, lost: Lost = lambda _: None, note: str = ""
    ) -> Iterator[int]:
        """Hold the lock; gives the holder's number.

        Args:
            wait: Whether to wait while a living holder has it.
            note: For others to read meanwhile.
            lost: Called where it is held no more, for another has it or may have.

        Raises:
            TimeoutError: A living holder has it, and is not to be waited for.
            InfrastructureError: The storage did not answer.
        """
        taken, e_tag = self._take(wait=wait, note=note)
        over = threading.Event()
        kept = [(taken, e_tag)]

        def keep() -> None:
            since = time.monotonic()
            while not over.wait(BEAT_S):
                until = since + LOST_S - 2 * BEAT_S
                try:
                    kept[0] = self._renewed(*kept[0], until)
                except InfrastructureError as error:
                    if time.monotonic() > until:
                        lost(f"{self._name}: {SILENT} ({error})")
                        return
                except _LostError as error:
                    lost(f"{self._name}: {error}")
                    return
                else:
                    since = time.monotonic()

        thread = threading.Thread(target=keep, name="remote lock", daemon=True)
        thread.start()
        try:
            yield taken.number
        finally:
            over.set()
            thread.join()
            mine, tag = kept[0]
            free = Holding(number=mine.number)
            with contextlib.suppress(InfrastructureError):
                self._store.put_over(self._name, _bytes(free), tag)

    def _renewed(self, mine: Holding, tag: str, until: float) -> tuple[Holding, str]:
        new = mine.model_copy(update={"beat": mine.beat + 1})
        written = self._pressing.put_over(self._name, _bytes(new), tag)
        while written is None:
            there = self._pressing.version(self._name)
            other = None if there is None else _parsed(there)
            if other is not None and other.holder != mine.holder:
                who = f"another machine, {other.host}," if other.holder else "another process"
                raise _LostError(f"{who} has taken it")
            if time.monotonic() > until:  # who had it meanwhile may have removed it
                raise _LostError(SILENT)
            written = (
                self._pressing.put_new(self._name, _bytes(new))
                if there is None
                else self._pressing.put_over(self._name, _bytes(new), there.e_tag)
            )
        return new, written

    def read(self) -> Holding:
        """Return who holds the lock, as it says.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        return _read(self._store.version(self._name))

    def lives(self) -> bool:
        """Tell whether somebody holds it and gives signs of life; takes until the next one.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        seen, since = "", time.monotonic()
        while time.monotonic() - since <= LOST_S:
            there = self._store.version(self._name)
            holding = _read(there)
            if there is None or holding.over:
                return False
            if holding.host == this_host() or (seen and there.e_tag != seen):
                return True
            seen = there.e_tag
            time.sleep(BEAT_S / 5)
        return False

    def _take(self, *, wait: bool, note: str) -> tuple[Holding, str]:
        seen, since = "", time.monotonic()
        while True:
            there = self._store.version(self._name)
            holding = _read(there)
            silent = there is not None and there.e_tag == seen and time.monotonic() - since > LOST_S
            if there is None or holding.over or silent:
                taken = self._put(there, holding.number + 1, note)
                if taken is not None:
                    return taken
            elif there.e_tag != seen:
                if seen and not wait:
                    raise TimeoutError(f"{self._name} is held by {holding.host}")
                seen, since = there.e_tag, time.monotonic()
            time.sleep(BEAT_S / 5)

    def _put(self, there: Version | None, number: int, note: str) -> tuple[Holding, str] | None:
        owner = this_process()
        mine = Holding(number=number, holder=uuid4().hex, note=note, **owner._asdict())
        if there is None:
            e_tag = self._store.put_new(self._name, _bytes(mine))
        else:
            e_tag = self._store.put_over(self._name, _bytes(mine), there.e_tag)
        return None if e_tag is None else (mine, e_tag)


def _bytes(holding: Holding) -> bytes:
    return holding.model_dump_json().encode()


def _read(there: Version | None) -> Holding:
    return (there and _parsed(there)) or Holding()


def _parsed(there: Version) -> Holding | None:
    try:
        return Holding.model_validate_json(there.content)
    except ValidationError:
        return None
