"""One run at a time changes an agent; a second one waits and knows for whom.

A lock of the operating system on a file beside the agent's workspace: it goes with the process
that holds it, however that ends, so nobody waits for the dead. In a remote home a lease in the
storage is held besides, which runs out when its holder gives no sign of life; one that hung for so
long is told that it has the turn no more. Who has it is written down beside the lock, and in the
lease.
"""

import contextlib
import os
import socket
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.errors import InfrastructureError
from grindstone.files import write_atomic
from grindstone.home import Home
from grindstone.records import utc_now
from grindstone.runs.lock import held
from grindstone.runs.remote_lock import Lost, RemoteLock


class TurnHolder(Frozen):
    """Who changes an agent."""

    run_key: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"run {self.run_key} (process {self.pid} on {self.host}, since {self.since})"


class AgentTurn:
    """The right to change an agent; a context manager that gives it back."""

    def __init__(self, home: Home, agent_id: str, run_key: str) -> None:
        self.place = home.turn(agent_id)
        self._run_key = run_key
        mirror = home.mirror
        self._lease = None if mirror is None else RemoteLock(mirror, self.place)
        self._held = contextlib.ExitStack()

    def take(self, *, lost: Lost = lambda _: None) -> bool:
        """Take it if nobody has it; return whether it is taken.

        Args:
            lost: Told where a run on another machine has taken it, or may have. Only in a remote
                home.

        Raises:
            InfrastructureError: The storage of a remote home did not answer.
        """
        me = TurnHolder(
            run_key=self._run_key,
            host=socket.gethostname(),
            pid=os.getpid(),
            since=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        ).model_dump_json()
        with contextlib.ExitStack() as taking:
            try:
                taking.enter_context(held(self.place, lost=lost, note=me))
            except TimeoutError:
                return False
            self._held = taking.pop_all()
        write_atomic(self._noted, me)
        return True

    def holder(self) -> TurnHolder | None:
        """Who has it, or had it last; None where nobody can tell."""
        try:
            if self._lease is not None:
                return TurnHolder.model_validate_json(self._lease.read().note)
            return TurnHolder.model_validate_json(self._noted.read_bytes())
        except (OSError, ValidationError, InfrastructureError):
            return None

    def __enter__(self) -> "AgentTurn":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    @property
    def _noted(self) -> Path:
        return self.place.with_suffix(".json")
