"""Bringing a home's server up with a worker and every deployment of prefect.yaml."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from pydantic import HttpUrl

from grindstone import blocks
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.flows.deployment.definitions import (
    Delivered,
    is_delivered,
    note_delivered,
    write_definitions,
)
from grindstone.flows.serving.addresses import require_database, require_free
from grindstone.flows.serving.authorities import one_authority
from grindstone.flows.serving.login import VARIABLE
from grindstone.flows.serving.server import (
    Running,
    ServerState,
    find,
    remember,
    remembered,
    server_environment,
    start,
    worker_name,
)
from grindstone.flows.serving.viewer_mount import MARK_PATH
from grindstone.flows.serving.zombies import watch_over_zombies
from grindstone.flows.worker.work_pool import ensure_pool
from grindstone.home import Home
from grindstone.room import require_room

POOL = "grindstone"
DEFAULT_PORT = 4200
COMMAND_TIMEOUT_S = 300.0
POLL_S = 2
"""How often the worker asks for runs, and whether one is to be cancelled where no event told so:
Prefect's own 10 s are a long wait at a form."""


def bring_up(
    home: Path, *, port: int | None, database_url: str | None, tell: Callable[[str], None]
) -> ServerState:
    """Start what is not running yet, and leave alone what is.

    A worker that outlived its server goes on with its runs; what the user decided in the UI
    about schedules, parameters and triggers stands.

    Args:
        home: The folder everything is kept in.
        port: Of the server; None for the one the home had last, or 4200.
        database_url: A PostgreSQL address; None for SQLite in the home.
        tell: Told what happens.

    Raises:
        InputError: Something else answers at the port, or a worker waits at another one.
        InfrastructureError: Server, deployments or worker could not be started.
        OSError: The home cannot be written to, or next to nothing is free on its disk.
    """
    if database_url is not None:
        require_database(database_url)
    former, state = remembered(home), find(home)
    worker = former.worker if former and former.worker and former.worker.alive else None
    _tell_what_is_not_used(state, port, tell)
    if state is None:
        chosen = port or (former.port if former else DEFAULT_PORT)
        if worker and former and chosen != former.port:
            problem = f"a worker of this home still asks port {former.port}"
            way_out = f"--port {former.port}, or `grindstone down` first, which ends the worker"
            raise InputError(f"--port {chosen}", problem, way_out)
        require_free(chosen)
        require_room(home)
        tell("Starting the Prefect server …")
        state = start(home, port=chosen, database_url=database_url, detached=True)
        state = state.model_copy(update={"worker": worker})
        remember(home, state)
    elif worker:
        if is_delivered(home):
            tell("Already up.")
        else:
            tell("Already up; deploying what is new …")
            deploy(home, client_environment(home, state))
        return state
    environment = client_environment(home, state)
    tell("Registering blocks, deploying flows, starting a worker …")
    in_parallel(
        lambda: create_pool(environment),
        lambda: asyncio.run(register_blocks(environment)),
    )
    worker = worker or start_worker(home, environment)
    state = state.model_copy(update={"worker": worker})
    remember(home, state)
    deploy(home, environment)
    if not worker.alive:
        log = Home.at(home).server / "worker.log"
        raise InfrastructureError(Cause.PREFECT_SERVER, f"the worker ended, see {log}")
    return state


def _tell_what_is_not_used(
    state: ServerState | None, port: int | None, tell: Callable[[str], None]
) -> None:
    named = os.environ.get("PREFECT_API_URL")
    if named and (state is None or named != state.api_url):
        tell(f"PREFECT_API_URL={named} is not used: `up` gives each home a server of its own.")
    if state is not None and port not in (None, state.port):
        tell(f"--port {port} is not used: the server is at {state.port} until `grindstone down`.")


def in_parallel(*steps: Callable[[], None]) -> None:
    """Run blocking steps at once; the first error is raised when all have ended."""
    with ThreadPoolExecutor(len(steps)) as pool:
        for done in [pool.submit(step) for step in steps]:
            done.result()


def first_form(state: ServerState, login: str) -> str:
    """Return the address of the form a newcomer begins with; empty where it was deleted."""
    with SyncPrefectClient(state.api_url, auth_string=login) as client:
        try:
            found = client.read_deployment_by_name("grind/try-one-task")
        except ObjectNotFound:
            return ""
    return f"{state.ui_url}/v2/deployments/deployment/{found.id}/run"


def client_environment(home: Path, state: ServerState) -> dict[str, str]:
    """Return the environment of everything that talks to the home's server."""
    environment = server_environment(home, state.port, None) | {
        "PREFECT_API_URL": state.api_url,
        "PREFECT_UI_URL": state.ui_url,
        "PREFECT_WORKER_QUERY_SECONDS": str(POLL_S),
        "PREFECT_RUNNER_POLL_FREQUENCY": str(POLL_S),
        "GRINDSTONE_WORK_DIR": Home.at(home).place,
        "GRINDSTONE_POOL": POOL,
        **one_authority(home, os.environ),
    }
    for name in ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_API_AUTH_STRING"):
        del environment[name]  # the server's alone
    return environment


def client_of(environment: Mapping[str, str]) -> SyncPrefectClient:
    """Return a client of the server that an environment names."""
    return SyncPrefectClient(environment["PREFECT_API_URL"], auth_string=environment[VARIABLE])


def create_pool(environment: Mapping[str, str]) -> None:
    """Make the work pool of local processes, or bring the one that is there up to date."""
    with client_of(environment) as client:
        ensure_pool(client, POOL)


async def register_blocks(environment: Mapping[str, str]) -> None:
    """Make our blocks known to the server, as `prefect block register` does in a second process.

    Their mark is at the home's own server: a browser may not reach the web.
    """
    url = environment["PREFECT_API_URL"]
    mark = HttpUrl(f"{environment['PREFECT_UI_URL']}{MARK_PATH}")
    async with PrefectClient(url, auth_string=environment[VARIABLE]) as client:
        for kind in (getattr(blocks, name) for name in blocks.__all__):
            if isinstance(kind, type) and issubclass(kind, Block):
                kind._logo_url = mark
                await kind.aregister_type_and_schema(client=client)


def deploy(home: Path, environment: Mapping[str, str]) -> None:
    """Deploy every entry of prefect.yaml, in a checkout or as installed."""
    file = home / "server" / "prefect.yaml"
    with client_of(environment) as client:
        write_definitions(client, home, file)
    prefect(("--no-prompt", "deploy", "--all", "--prefect-file", str(file)), home, environment)
    delivered = Delivered.of(home)
    if delivered is None or not delivered.zombies:
        with client_of(environment) as client:
            watch_over_zombies(client)
    note_delivered(home)


def start_worker(home: Path, environment: Mapping[str, str]) -> Running:
    """Start a process worker that outlives this process."""
    with (Home.at(home).server / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "grindstone.flows.worker", "worker", "start"),
                *("--pool", POOL, "--name", worker_name()),
            ],
            env=dict(environment),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - one call, no lock
        )
    return Running.of(process.pid)


def _heed_interrupts() -> None:
    """Undo what a shell does to its background commands: a worker ends its runs on SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
