"""Bringing a home's server up with a worker and every deployment of prefect.yaml."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from flows.server import (
    Running,
    ServerState,
    find,
    healthy,
    remember,
    server_environment,
    start,
)
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.resources import bundled

POOL = "grindstone"
COMMAND_TIMEOUT_S = 120.0


def bring_up(
    home: Path, *, port: int, database_url: str | None, tell: Callable[[str], None]
) -> ServerState:
    """Start what is not running yet; calling it again changes nothing.

    Raises:
        InputError: Something else answers at the port.
        InfrastructureError: Server, deployments or worker could not be started.
    """
    running = find(home)
    if running is not None and running.worker is not None and running.worker.alive:
        tell("Already up.")
        return running
    if running is None and healthy(f"http://127.0.0.1:{port}/api"):
        raise InputError(f"--port {port}", "another Prefect server answers there", "a free port")
    tell("Starting the Prefect server …")
    state = running or start(home, port=port, database_url=database_url, detached=True)
    remember(home, state)
    environment = client_environment(home, state)
    tell("Registering blocks and deploying flows …")
    prefect(("work-pool", "create", POOL, "--type", "process", "--overwrite"), home, environment)
    prefect(("block", "register", "-m", "blocks"), home, environment)
    deploy(home, environment)
    tell("Starting a worker …")
    state = state.model_copy(update={"worker": start_worker(home, environment)})
    remember(home, state)
    return state


def client_environment(home: Path, state: ServerState) -> dict[str, str]:
    """Return the environment of everything that talks to the home's server."""
    port = int(state.ui_url.rpartition(":")[2])
    return server_environment(home, port, None) | {
        "PREFECT_API_URL": state.api_url,
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "GRINDSTONE_WORK_DIR": str(home),
    }


def deploy(home: Path, environment: Mapping[str, str]) -> None:
    """Deploy every entry of prefect.yaml; runs start in the home's parent folder."""
    prefect(
        ("--no-prompt", "deploy", "--all", "--prefect-file", str(bundled("prefect.yaml"))),
        home,
        environment,
    )


def start_worker(home: Path, environment: Mapping[str, str]) -> Running:
    """Start a process worker that outlives this process."""
    with (home / "server" / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", POOL],
            env=dict(environment),
            cwd=home.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Running.of(process.pid)


def prefect(arguments: tuple[str, ...], home: Path, environment: Mapping[str, str]) -> None:
    """Run a Prefect command.

    Raises:
        InfrastructureError: It failed; the message ends with what it printed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        env=dict(environment),
        cwd=home.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        shown = (done.stdout + done.stderr)[-2000:]
        raise InfrastructureError(
            Cause.PREFECT_SERVER, f"`prefect {' '.join(arguments)}` failed:\n{shown}"
        )
