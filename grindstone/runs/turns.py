"""One run at a time changes an agent; a second one waits and knows for whom.

A lock of the operating system on a file beside the agent's workspace: it goes with the process
that holds it, however that ends, so nobody waits for the dead. In a remote home a lease in the
storage is held besides, which runs out when its holder gives no sign of life. Who has the turn is
written down beside the lock, for people alone; of other machines' runs that tells nothing.
"""

import contextlib
import os
import socket
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout
from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.files import write_atomic
from grindstone.home import Home
from grindstone.records import utc_now
from grindstone.runs.remote_lock import RemoteLock


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
        self._mirror = home.mirror
        self._held = contextlib.ExitStack()

    def take(self) -> bool:
        """Take it if nobody has it; return whether it is taken."""
        self.place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as taking:
            try:
                taking.enter_context(FileLock(self.place, blocking=False, thread_local=False))
                if self._mirror is not None:
                    elsewhere = RemoteLock(self._mirror, self.place)
                    taking.enter_context(elsewhere.hold(wait=False))
            except (Timeout, TimeoutError):
                return False
            self._held = taking.pop_all()
        me = TurnHolder(
            run_key=self._run_key,
            host=socket.gethostname(),
            pid=os.getpid(),
            since=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        )
        write_atomic(self._holder, me.model_dump_json())
        return True

    @property
    def holder(self) -> TurnHolder | None:
        """Who has it, or had it last; None where nobody can tell."""
        try:
            return TurnHolder.model_validate_json(self._holder.read_bytes())
        except (OSError, ValidationError):
            return None

    @property
    def is_of_this_run(self) -> bool:
        """Whether another process drives this very run: that is no case for waiting."""
        return self.holder is not None and self.holder.run_key == self._run_key

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
    def _holder(self) -> Path:
        return self.place.with_suffix(".json")
