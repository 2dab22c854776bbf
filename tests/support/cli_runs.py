"""The `grindstone` command in processes of its own that start in no time and can be killed.

They are forked from a server that has imported everything (`multiprocessing`'s forkserver),
so a test can start thirty of them. What Prefect reads at import, its server's address above
all, is what the environment held when the first of them was started.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *(
            "grindstone.flows.grind",
            "grindstone.flows.serving.server",
            "grindstone.flows.cli.app",
            "grindstone.flows.cli.running",
        ),
        *("grindstone.llm.clients", "grindstone.llm.asking", "grindstone.report.plots"),
        *("grindstone.sandbox.bubblewrap.provider", "genai_prices", "altair", "vl_convert"),
        "support.cli_runs",
    ]
)
END_S = 240.0


def _command(arguments: list[str], environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    from grindstone.flows.cli import main

    sys.argv = ["grindstone", *arguments]
    main()


class Command:
    """One process."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        given = {**os.environ, **environment}
        self._process = _CONTEXT.Process(target=_command, args=(arguments, given, str(log)))
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id of the command."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def kill(self) -> None:
        """End it as a power cut would: no handler, no clean-up."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(
        self, until: Callable[[], bool] = lambda: False, *, end_s: float = END_S
    ) -> int | None:
        """Return the exit code; None as soon as `until` holds while it still runs."""
        deadline = time.monotonic() + end_s
        while self.alive:
            if until():
                return None
            if time.monotonic() > deadline:
                self.kill()
                raise TimeoutError(f"still running after {end_s:g} s:\n{self.tail()}")
            time.sleep(0.003)
        self._process.join()
        return self._process.exitcode

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
