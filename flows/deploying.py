"""Bringing a home's server up with a worker and every deployment of prefect.yaml."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grindstone.errors import Cause, InfrastructureError
from grindstone.flows.server import (
    Running,
    ServerState,
    down,
    find,
    remember,
    require_free,
    server_environment,
    start,
)
from grindstone.resources import bundled

POOL = "grindstone"
COMMAND_TIMEOUT_S = 300.0
POLL_S = 2
"""How often the worker asks for runs: Prefect's own 10 s are a long wait at a form."""


def bring_up(
    home: Path, *, port: int, database_url: str | None, tell: Callable[[str], None]
) -> ServerState:
    """Start what is not running yet; calling it again changes nothing.

    Raises:
        InputError: Something else answers at the port.
        InfrastructureError: Server, deployments or worker could not be started.
    """
    home.mkdir(parents=True, exist_ok=True)
    state = find(home)
    if state is not None and state.worker is not None and state.worker.alive:
        tell("Already up.")
        return state
    if state is None:
        down(home)  # a worker may have outlived its server
        require_free(port)
        tell("Starting the Prefect server …")
        state = start(home, port=port, database_url=database_url, detached=True)
        remember(home, state)
    environment = client_environment(home, state)
    tell("Registering blocks, deploying flows, starting a worker …")
    in_parallel(
        lambda: create_pool(home, environment),
        lambda: prefect(("block", "register", "-m", "blocks"), home, environment),
    )
    worker = start_worker(home, environment)
    state = state.model_copy(update={"worker": worker})
    remember(home, state)
    deploy(home, environment)
    if not worker.alive:
        log = home / "server" / "worker.log"
        raise InfrastructureError(Cause.PREFECT_SERVER, f"the worker ended, see {log}")
    return state


def in_parallel(*steps: Callable[[], None]) -> None:
    """Run blocking steps at once; the first error is raised when all have ended."""
    with ThreadPoolExecutor(len(steps)) as pool:
        for done in [pool.submit(step) for step in steps]:
            done.result()


def client_environment(home: Path, state: ServerState) -> dict[str, str]:
    """Return the environment of everything that talks to the home's server."""
    port = int(state.ui_url.rpartition(":")[2])
    environment = server_environment(home, port, None) | {
        "PREFECT_API_URL": state.api_url,
        "PREFECT_UI_URL": state.ui_url,
        "PREFECT_WORKER_QUERY_SECONDS": str(POLL_S),
        "GRINDSTONE_WORK_DIR": str(home),
    }
    del environment["PREFECT_API_DATABASE_CONNECTION_URL"]  # the server's alone
    return environment


def create_pool(home: Path, environment: Mapping[str, str]) -> None:
    """Make the work pool of local processes, or bring it up to date."""
    prefect(("work-pool", "create", POOL, "--type", "process", "--overwrite"), home, environment)


def deploy(home: Path, environment: Mapping[str, str]) -> None:
    """Deploy every entry of prefect.yaml, in a checkout or as installed."""
    file = str(bundled("prefect.yaml"))
    prefect(("--no-prompt", "deploy", "--all", "--prefect-file", file), home, environment)


def start_worker(home: Path, environment: Mapping[str, str]) -> Running:
    """Start a process worker that outlives this process."""
    with (home / "server" / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", POOL],
            env=dict(environment),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Running.of(process.pid)


def prefect(arguments: tuple[str, ...], home: Path, environment: Mapping[str, str]) -> None:
    """Run a Prefect command.

    It runs in the home, where no folder called `flows` or `tasks` can be taken for ours.

    Raises:
        InfrastructureError: It failed; the message ends with what it printed.
    """
    command = f"`prefect {' '.join(arguments)}`"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env=dict(environment),
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            Cause.PREFECT_SERVER, f"{command} took over {COMMAND_TIMEOUT_S:.0f} s"
        ) from error
    if done.returncode != 0:
        shown = (done.stdout + done.stderr)[-2000:]
        raise InfrastructureError(Cause.PREFECT_SERVER, f"{command} failed:\n{shown}")
