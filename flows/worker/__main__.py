"""The program our workers run: Prefect's own command line, whose runs begin at once.

    python -m grindstone.flows.worker worker start --pool grindstone

A process worker of Prefect starts a run through two more programs, which pull its code, look for
its workspace and load Prefect each; after a run that was called off or died a third looks for
hooks. Our deployments pull nothing, so here a run is one process, and the worker looks for hooks
itself. What it executes is settled: neither a pool nor a run's job variables name another command.
"""

import shlex
import sys
from typing import Any

from grindstone.collecting import before_exit, loading
from grindstone.flows.worker import ENGINE


def main() -> None:
    """Run Prefect's command line with workers that start the engine themselves."""
    with loading():
        from prefect.cli import app
        from prefect.workers.process import ProcessJobConfiguration, ProcessWorker

    class EngineAtOnce(ProcessJobConfiguration):
        """A run whose process is the engine."""

        def prepare_for_flow_run(self, *args: Any, **kwargs: Any) -> None:
            """Name the command, as if the pool had."""
            self.command = shlex.join((sys.executable, "-m", ENGINE))
            super().prepare_for_flow_run(*args, **kwargs)

    ProcessWorker.job_configuration = EngineAtOnce
    try:
        app()
    finally:
        before_exit()


if __name__ == "__main__":
    main()
