"""A Prefect server of several processes, as `deploy/kubernetes/server.yaml` has it.

What the manifest says is what is run: its commands, its variables. In place of the cluster's
service stands one port that deals out connections.
"""

import contextlib
import itertools
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from ruamel.yaml import YAML
from support.redis import serving_redis

from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.server import healthy

MANIFEST = Path(__file__).parents[2] / "deploy/kubernetes/server.yaml"
MANIFEST_PORT = "4200"


class Dealt:
    """A port whose connections are dealt out to whoever of several ports answers."""

    def __init__(self, host: str, port: int, backends: list[int]) -> None:
        """Take where it is, and who is behind it."""
        self._listening = socket.create_server((host, port), backlog=256)
        self._turn = itertools.cycle(backends)
        self._backends = len(backends)
        self.dealt: dict[int, int] = dict.fromkeys(backends, 0)

    def __enter__(self) -> Self:
        threading.Thread(target=self._deal, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _deal(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                asking, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(asking,), daemon=True).start()

    def _serve(self, asking: socket.socket) -> None:
        for port in itertools.islice(self._turn, self._backends):
            with contextlib.suppress(OSError):
                answering = socket.create_connection(("127.0.0.1", port), timeout=5)
                answering.settimeout(None)
                self.dealt[port] += 1
                back = threading.Thread(target=_pump, args=(answering, asking), daemon=True)
                back.start()
                _pump(asking, answering)
                return
        asking.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


class ApiServers(NamedTuple):
    """The processes that answer, by port, and the one that does things by the clock."""

    answering: dict[int, "subprocess.Popen[bytes]"]
    services: "subprocess.Popen[bytes]"
    dealt: Dealt

    @property
    def pids(self) -> list[int]:
        """Of all."""
        return [self.services.pid, *(each.pid for each in self.answering.values())]


@contextlib.contextmanager
def serving_many(
    folder: Path, host: str, port: int, count: int, environment: Mapping[str, str]
) -> Iterator[ApiServers]:
    """Serve until the block ends, at one port of the host.

    Args:
        folder: For logs and the processes' own files.
        host: Address at which connections are taken.
        port: There.
        count: Processes that answer.
        environment: What the manifest takes from its secrets: the database and the login.
    """
    deployed = {each["metadata"]["name"]: each for each in _manifest()}
    ports = [free_port() for _ in range(count)]
    with contextlib.ExitStack() as exits:
        redis = exits.enter_context(serving_redis())

        def start(name: str, own: Path, port: int = 0) -> "subprocess.Popen[bytes]":
            [container] = deployed[name]["spec"]["template"]["spec"]["containers"]
            words = [str(port) if word == MANIFEST_PORT else word for word in container["command"]]
            told = {each["name"]: each["value"] for each in container["env"] if "value" in each}
            told |= {"PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1", "PREFECT_HOME": str(own)}
            told |= {"PREFECT_REDIS_MESSAGING_PORT": str(redis), "DO_NOT_TRACK": "1"}
            with own.with_suffix(".log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", *words],
                    env=dict(environment) | told,
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                )
            exits.callback(process.wait)
            exits.callback(process.kill)
            return process

        answering = {}
        for number, each in enumerate(ports):  # one after the other: the first makes the tables
            answering[each] = start("server", folder / f"server-{number}", each)
            while not healthy(f"http://127.0.0.1:{each}/api"):
                log = folder / f"server-{number}.log"
                assert answering[each].poll() is None, log.read_text()[-3000:]
        services = start("server-services", folder / "services")
        dealt = exits.enter_context(Dealt(host, port, ports))
        yield ApiServers(answering, services, dealt)


def _manifest() -> list[dict[str, "object"]]:
    return list(YAML(typ="safe").load_all(MANIFEST.read_text()))
