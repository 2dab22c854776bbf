"""Machines that share object storage and a Prefect server on PostgreSQL, and nothing else.

What runs on them is what docs/scale.md says to run: a worker each, and the command line on one.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from support.api_servers import ApiServers, serving_many
from support.namespaces import Machine, Network
from support.object_storage import Spoiled, serving_s3
from support.postgres import Database, serving_postgres
from support.steady_model import SteadyModel

from grindstone.flows.deployment.deploying import create_pool
from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.login import VARIABLE
from grindstone.flows.serving.server import healthy, server_environment
from grindstone.resources import bundled

T = TypeVar("T")

PREFECT = (sys.executable, "-m", "prefect")
GRINDSTONE = (sys.executable, "-m", "grindstone.flows.cli")
ANSWER = "echo done > /app/done"
"""What the model has everybody run; it solves `write_task`'s tasks."""


def until(condition: Callable[[], T], patience_s: float = 240.0) -> T:
    """Return what a condition gives as soon as it holds."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it did not come to hold within {patience_s:.0f} s"
        time.sleep(0.2)
    return found


def own_places(folder: str) -> dict[str, str]:
    """Return the variables by which a machine keeps its files in a folder of its own."""
    return {
        "GRINDSTONE_CACHE_DIR": f"{folder}/cache",
        "PREFECT_HOME": f"{folder}/prefect",
        "PREFECT_LOCAL_STORAGE_PATH": f"{folder}/results",
    }


def write_task(folder: Path, number: int) -> None:
    """Write a task whose tests cost next to nothing, unlike all others by its number."""
    files = {
        "instruction.md": f"Create the file /app/done that holds the word done. No. {number}.\n",
        "task.toml": '[metadata]\ncategory = "fleet"\n[environment]\nallow_internet = false\n',
        "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
        "tests/test.sh": f"#!/bin/bash\n# No. {number}\n"
        'if [ "$(cat /app/done)" = done ]; then echo 1; else echo 0; fi'
        " > /logs/verifier/reward.txt\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Fleet(NamedTuple):
    """What the machines share, and how they are made."""

    network: Network
    storage: Spoiled
    model: SteadyModel
    address: str  # of the home
    server: list[int]  # its processes
    several: ApiServers | None
    database: Database
    environment: dict[str, str]  # of each machine
    folder: Path

    def worker(self, name: str) -> Machine:
        """Make a machine with a worker that makes one slice at a time."""
        machine = self.network.machine(name)
        words = ("worker", "start", "--pool", "grindstone", "--limit", "1", "--name", name)
        machine.start([*PREFECT, *words], self.environment, "worker.log")
        return machine

    def parent(
        self, name: str, tasks: int, *words: str
    ) -> tuple[Machine, "subprocess.Popen[bytes]"]:
        """Make a machine and start a run there, or go on with it."""
        machine = self.network.machine(name)
        for number in range(tasks):
            write_task(self.folder / name / "tasks" / f"task-{number:04}", number)
        command = [*GRINDSTONE, "grind", "--work-dir", self.address, "--tasks-dir", "/tmp/tasks"]
        command += ["--model-id", "rehearsal", "--sandbox", "bubblewrap"]
        command += ["--native-profile", "strands", "--batch-size", str(tasks), "--max-cycles", "1"]
        command += ["--task-skill-mode", "off", "--success-mode", "off", "--evolve-skills", "false"]
        command += ["--dispatch", "deployment", *words]
        return machine, machine.start(command, self.environment, "parent.log")

    def wait_for_workers(self, count: int) -> None:
        """Wait until as many workers have shown themselves."""
        from grindstone.flows.deployment.deploying import client_of

        with client_of(self.environment) as client:
            until(lambda: len(client.read_workers_for_work_pool("grindstone")) >= count)


@contextlib.contextmanager
def fleet(
    folder: Path, *, spoiled: float, seed: int, answer_s: float, servers: int = 1
) -> Iterator[Fleet]:
    """Serve all that machines share, until the block ends; machines end with it.

    Args:
        folder: For logs, the server's state and the machines' own folders.
        spoiled: Share of the requests to storage that are answered with 503.
        seed: Which ones.
        answer_s: What each of the model's answers takes.
        servers: Processes of the Prefect server that answer; several share Redis, too.
    """
    with contextlib.ExitStack() as exits:
        network = exits.enter_context(Network(folder))
        bucket = exits.enter_context(serving_s3(folder))
        storage = Spoiled(bucket, rate=spoiled, seed=seed, host=network.host)
        exits.enter_context(storage)
        model = SteadyModel(network.host, answer_s=answer_s, command=ANSWER)
        exits.enter_context(model)
        login, port = f"fleet:{secrets.token_hex(12)}", free_port()
        address = f"{bucket.url}/fleet"
        url = f"http://{network.host}:{port}/api"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            **storage.bucket.environment,
            **own_places("/tmp"),
            "PREFECT_API_URL": url,
            VARIABLE: login,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
            "GRINDSTONE_REHEARSAL_URL": model.url,
        }
        database = exits.enter_context(serving_postgres())
        several = None
        if servers > 1:
            given = environment | {
                "PREFECT_API_DATABASE_CONNECTION_URL": database.url,
                "PREFECT_SERVER_API_AUTH_STRING": login,
            }
            made = serving_many(folder, network.host, port, servers, given)
            several = exits.enter_context(made)
            server = several.pids
        else:
            server = [exits.enter_context(_serving_prefect(folder, port, login, database.url))]
            until(lambda: healthy(url) or not Path(f"/proc/{server[0]}").exists())
            assert healthy(url), (folder / "server.log").read_text()[-3000:]
        here = os.environ | environment | own_places(str(folder / "deployer"))
        here |= {"GRINDSTONE_WORK_DIR": address, "GRINDSTONE_POOL": "grindstone"}
        create_pool(here)
        for words in (
            ("block", "register", "-m", "grindstone.blocks"),
            (
                *("--no-prompt", "deploy", "--name", "slice"),
                *("--prefect-file", str(bundled("prefect.yaml"))),
            ),
        ):
            subprocess.run(
                [*PREFECT, *words], env=here, cwd=folder, check=True, capture_output=True
            )
        yield Fleet(
            network, storage, model, address, server, several, database, environment, folder
        )


@contextlib.contextmanager
def _serving_prefect(folder: Path, port: int, login: str, database: str) -> Iterator[int]:
    command = ("-m", "grindstone.flows.serving", "server", "start", "--host", "0.0.0.0")
    environment = server_environment(folder / "server", port, database) | {
        "PREFECT_SERVER_API_AUTH_STRING": login,
        VARIABLE: login,
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *command, "--port", str(port)],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield server.pid
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
