"""A server that rests while no test wants it: it takes a twentieth of a processor doing nothing."""

import contextlib
import os
import signal

import pytest

FIXTURE = "prefect_server"


class Resting:
    """The server's processes, all of one group, and whether they stand still."""

    def __init__(self) -> None:
        self._group: int | None = None
        self._stands = False

    def watch(self, pid: int) -> None:
        """Take in hand a server that runs."""
        self._group, self._stands = os.getpgid(pid), False

    def forget(self) -> None:
        """Let it run, and go on without it."""
        self._signal(stands=False)
        self._group = None

    def before(self, item: pytest.Item | None) -> None:
        """Let it run if a test wants it, and stand still if not; for no test it is left."""
        if item is not None:
            self._signal(stands=FIXTURE not in getattr(item, "fixturenames", ()))

    def _signal(self, *, stands: bool) -> None:
        if self._group is None or stands is self._stands:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGSTOP if stands else signal.SIGCONT)
        self._stands = stands


RESTING = Resting()
