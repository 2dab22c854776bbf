"""A Prefect server for a home folder: found, or started with settings that carry the load.

The ephemeral server Prefect starts by itself forgets part of a run's history when the
process ends, and its recorder falls behind at a few hundred tasks; the settings below
keep it within seconds at a thousand. The database lies in the home, so what one run left
is there for the next server to show.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.files import write_atomic
from grindstone.flows.serving.addresses import free_port, require_address
from grindstone.flows.serving.authorities import one_authority
from grindstone.flows.serving.database import begin_with_copy, keep_copy
from grindstone.flows.serving.login import VARIABLE, login, require_admission
from grindstone.home import Home

START_TIMEOUT_S = 180.0
LOOK_S = 0.2
BUSY_S = 30.0
"""How long a server whose process lives may take to answer before it counts as gone."""
STOP_TIMEOUT_S = 15.0
FLUSH_S = 1
"""How often its recorder writes what it was told."""
LINGER_S = 0.2
"""How long a server of our own lives on after a run: what was told last is on its way to it."""

_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}
"""The processes this one started: kept, so that they are waited for and not left as zombies."""

PDEATHSIG = 1  # prctl(2): the signal a process gets when its parent dies

HOME_VARIABLE = "GRINDSTONE_SERVER_HOME"
"""By which a server is told whose it is."""

SERVER_SETTINGS = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": str(FLUSH_S),
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    # A run that is called off while its process starts is left to this; nobody else ends it.
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "60",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


class Running(Frozen):
    """A process of ours: its id is only its own together with its start time."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Running":
        """Describe a live process."""
        return cls(pid=pid, started=start_time(pid) or "")

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return bool(self.started) and start_time(self.pid) == self.started

    def stop(self) -> None:
        """End the process and those it started; by force after a while."""
        for number, patience in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, 5.0)):
            if not self.alive:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpgid(self.pid), number)
            deadline = time.monotonic() + patience
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.05)
        child = _CHILDREN.pop(self.pid, None)
        if child is not None:
            child.wait()


def worker_name() -> str:
    """Return the name of a home's worker, by which runs tell that they run on this machine."""
    return f"grindstone@{socket.gethostname()}"


class ServerState(Frozen):
    """What `grindstone up` left running, as `server.json` in the home tells it."""

    api_url: str
    ui_url: str
    server: Running
    worker: Running | None = None

    @property
    def port(self) -> int:
        """Where the server listens."""
        return int(self.ui_url.rpartition(":")[2])


def start_time(pid: int) -> str | None:
    """Return a process's start time in clock ticks since boot; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def healthy(api_url: str, *, timeout_s: float = 2.0) -> bool:
    """Return whether a Prefect API answers there."""
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def state_file(home: Path) -> Path:
    """Return where `up` notes what it started."""
    return Home.at(home).server / "server.json"


def find(home: Path) -> ServerState | None:
    """Return the server that `up` started for this home, if it still answers."""
    state = remembered(home)
    deadline = time.monotonic() + BUSY_S
    while state is not None and state.server.alive and time.monotonic() < deadline:
        if healthy(state.api_url):
            return state
        time.sleep(LOOK_S)
    return None


def require_up(home: Path, field: str) -> None:
    """Make sure that a server with workers can be sent runs of a home.

    Raises:
        InputError: None is up, and the environment names none.
    """
    if not os.environ.get("PREFECT_API_URL") and find(home) is None:
        problem = "is deployment, and no server with a worker is up for this home"
        raise InputError(field, problem, "it to be started with `grindstone up`")


def remembered(home: Path) -> ServerState | None:
    """Return what `up` noted, alive or not."""
    try:
        return ServerState.model_validate_json(state_file(home).read_bytes())
    except (OSError, ValidationError):
        return None


def server_environment(home: Path, port: int, database_url: str | None) -> dict[str, str]:
    """Return the environment of a server for this home.

    Raises:
        InputError: The home's login cannot be read.
    """
    folder = Home.at(home).server
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return (
        kept
        | SERVER_SETTINGS
        | {
            HOME_VARIABLE: str(folder.parent),
            "PREFECT_HOME": str(folder),
            "PREFECT_API_DATABASE_CONNECTION_URL": database_url
            or f"sqlite+aiosqlite:///{folder / 'prefect.db'}",
            "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_API_AUTH_STRING": login(home),
            VARIABLE: login(home),
        }
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGTERM)


def _nothing(_: ServerState) -> None:
    """Do nothing meanwhile."""


def start(
    home: Path,
    *,
    port: int | None = None,
    database_url: str | None = None,
    detached: bool,
    meanwhile: Callable[[ServerState], object] = _nothing,
) -> ServerState:
    """Start a server and wait until it answers.

    Args:
        home: Its database and log lie below `server/` there.
        port: None for any free one.
        database_url: A PostgreSQL address; None for SQLite in the home.
        detached: Whether it is to outlive this process.
        meanwhile: Called while the server starts: it takes seconds, on a core of its own.

    Raises:
        InfrastructureError: It did not answer in time; the message ends with its log.
        InputError: The home's login cannot be read.
    """
    chosen = port or free_port()
    log = Home.at(home).server / "server.log"
    environment = server_environment(home, chosen, database_url)
    database = log.with_name("prefect.db")
    new = database_url is None and not database.exists()
    copied = new and begin_with_copy(database)
    if copied:
        environment |= {"PREFECT_SERVER_API_BLOCKS_REGISTER_ON_START": "false"}  # it has them
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "grindstone.flows.serving", "server", "start"),
                *("--host", "127.0.0.1", "--port", str(chosen)),
            ],
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if detached else _die_with_parent,  # noqa: PLW1509 - one call, no lock
        )
    _CHILDREN[process.pid] = process
    state = ServerState(
        api_url=f"http://127.0.0.1:{chosen}/api",
        ui_url=f"http://127.0.0.1:{chosen}",
        server=Running.of(process.pid),
    )
    try:
        meanwhile(state)
        _await_answer(state, process, log)
    except BaseException:
        state.server.stop()
        raise
    if new and not copied:
        keep_copy(database)
    return state


def _await_answer(state: ServerState, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    problem = f"no answer at {state.api_url} within {START_TIMEOUT_S:.0f} s"
    while time.monotonic() < deadline:
        if healthy(state.api_url):
            return
        if process.poll() is not None:
            problem = f"it ended with exit code {process.returncode}"
            break
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise InfrastructureError(Cause.PREFECT_SERVER, f"{problem}; {log} ends with:\n{tail}")


@contextlib.contextmanager
def server_for(home: Path, *, meanwhile: Callable[[], object] = lambda: None) -> Iterator[str]:
    """Yield the address of a Prefect API for this home.

    In this order: the one `PREFECT_API_URL` names, the one `grindstone up` started, or one
    of our own that ends with the block and, at the latest, with this process. Call it
    before Prefect is imported: it sets the environment that Prefect reads at import.

    Args:
        home: The folder everything is kept in.
        meanwhile: Called while a server of our own starts, with its address in the environment.

    Raises:
        InfrastructureError: A server of our own did not answer in time.
        InputError: The server that is named refuses the login of the environment, or the
            home's login cannot be read.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    named, known = os.environ.get("PREFECT_API_URL"), remembered(home)
    if named:
        own = known is not None and known.api_url == named
        require_address(named)
        with _environment({VARIABLE: login(home)} if own else {}):
            require_admission(named)
            yield named
        return
    with contextlib.ExitStack() as exits:

        def enter(state: ServerState) -> None:
            variables = {"PREFECT_API_URL": state.api_url, VARIABLE: login(home)}
            variables |= one_authority(home, os.environ)
            exits.enter_context(_environment(variables))

        def begin(state: ServerState) -> None:
            enter(state)
            meanwhile()

        if (running := find(home)) is not None:
            enter(running)
            yield running.api_url
            return
        state = start(home, detached=False, meanwhile=begin)
        exits.callback(state.server.stop)
        yield state.api_url
        time.sleep(LINGER_S)  # its recorder writes what it holds as it ends


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process; they are as before when the block ends."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def remember(home: Path, state: ServerState) -> None:
    """Note what runs, for `find` and `down`."""
    write_atomic(state_file(home), state.model_dump_json(indent=2))


def down(home: Path) -> list[str]:
    """End what `up` started; return the names of what was ended.

    The note of it stays: the next `up` takes the same port.
    """
    state = remembered(home)
    if state is None:
        return []
    ended = []
    for name, process in (("worker", state.worker), ("server", state.server)):
        if process is not None and process.alive:
            process.stop()
            ended.append(name)
    return ended
