"""One shared connection to a Docker engine, its calls in threads, its errors in our terms."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, ParamSpec, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.docker.bases import LostBases
from grindstone.sandbox.owner import Owner, this_process

P = ParamSpec("P")
T = TypeVar("T")

CONNECTIONS = 128
"""Calls that can wait on the engine at once: a running command holds one."""

CALL_TIMEOUT_S = 120

DEFAULT_HOST = "unix:///var/run/docker.sock"

LABEL = "dev.grindstone"
"""Prefix of every label; an object that carries it is ours to remove."""


def owner_labels() -> dict[str, str]:
    """Return what tells a container of this process's: once that is dead, it is removed."""
    return {f"{LABEL}.{name}": str(value) for name, value in this_process()._asdict().items()}


def owner_of(labels: Mapping[str, str]) -> Owner | None:
    """Return whose a container is, None where its labels are damaged."""
    host, pid, started = (labels.get(f"{LABEL}.{name}", "") for name in Owner._fields)
    return Owner.parse(host, pid, started)


class EngineFacts(NamedTuple):
    """What an engine says of itself."""

    version: str
    architecture: str  # Go's name: amd64, arm64
    cpus: int
    apparmor: bool
    runtimes: tuple[str, ...]  # OCI runtimes that containers can be started with


class Engine:
    """The SDK's client and a pool of threads of its own.

    The event loop's default pool has six threads on a small machine, and every waiting
    command holds one: they would starve everything else that waits.
    """

    def __init__(self) -> None:
        with engine_errors(Cause.ENGINE_UNAVAILABLE):
            _knock()
            self.client = docker.from_env(timeout=CALL_TIMEOUT_S, max_pool_size=CONNECTIONS)
            try:
                info = self.client.api.info()
                version = self.client.api.version()
            except BaseException:
                self.client.close()
                raise
        self.facts = EngineFacts(
            version=str(info["ServerVersion"]),
            architecture=str(version["Arch"]),
            cpus=int(info["NCPU"]),
            apparmor=any("apparmor" in option for option in info.get("SecurityOptions") or []),
            runtimes=tuple(sorted(info.get("Runtimes") or {})),
        )
        self.lost_bases = LostBases()
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="docker")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in the pool."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Release connections and threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self.client.close()


def _knock() -> None:
    """Raise OSError when no one listens: the SDK would leave its socket open, with a warning."""
    scheme, _, path = os.environ.get("DOCKER_HOST", DEFAULT_HOST).partition("://")
    if scheme == "unix":
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(CALL_TIMEOUT_S)
            door.connect(path)


@contextmanager
def engine_errors(cause: Cause, container: str | None = None) -> Iterator[None]:
    """Turn the SDK's errors into ours.

    The kind of the exception decides, and where one was named, whether the container is
    still there; never a word of a message, which may be a command's own output.

    Args:
        cause: What it is when engine and container are both there.
        container: The container the calls are about.
    """
    try:
        yield
    except NotFound as error:
        lost = Cause.CONTAINER_LOST if container else cause
        raise InfrastructureError(lost, str(error)) from error
    except APIError as error:
        gone = container is not None and error.status_code == requests.codes.conflict
        raise InfrastructureError(Cause.CONTAINER_LOST if gone else cause, str(error)) from error
    except (requests.RequestException, DockerException, OSError) as error:
        raise InfrastructureError(Cause.ENGINE_UNAVAILABLE, str(error)) from error
