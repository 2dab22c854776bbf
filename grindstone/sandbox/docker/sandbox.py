"""One container as a sandbox: how the runner is reached through `docker exec`."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from docker.errors import APIError, NotFound

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.disk import Taken
from grindstone.sandbox.docker.engine import Engine, engine_errors
from grindstone.sandbox.docker.stream import Stream
from grindstone.sandbox.network.doors import Hatch, receive
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.protocol import Limits
from grindstone.sandbox.registry import Kind
from grindstone.sandbox.remote import RUNNER, RemoteSandbox, RunnerCall, RunnerTimeout
from grindstone.sandbox.usage import held, taken
from grindstone.sandbox.wire import RunnerOutput

HATCH_DIR = "/.grindstone-door"
"""Where a container that has a network finds the folder its door is handed out through."""

RESTART_PAUSES_S = (1.0, 5.0)
"""Before a restart that failed is tried again, on an engine that is busy."""

KILLED_CODES = frozenset({137, 143})
"""Exit codes of a runner that something inside the container killed."""


class DockerSandbox(RemoteSandbox):
    """A running container."""

    kind: Kind = "docker"

    def __init__(
        self,
        engine: Engine,
        container: str,
        workdir: str,
        network: NetworkRules,
        limits: Limits,
        hatch: Hatch | None,
        forget: Callable[["DockerSandbox"], None],
    ) -> None:
        super().__init__(workdir, network, limits)
        self._hatch = hatch
        self._engine = engine
        self._container = container
        self._forget = forget
        self._closed = False

    @property
    def container(self) -> str:
        """The container's id."""
        return self._container

    async def _talk(self, call: RunnerCall) -> RunnerOutput:
        await self.open_door()
        with engine_errors(Cause.SANDBOX_IO, self._container):
            for last in (False, True):
                answer = await self._engine.call(self._ask, call)
                if answer is not None:
                    return answer
                if not last:
                    await self._engine.call(self._restart)
        raise InfrastructureError(Cause.SANDBOX_IO, "no process can be started in the container")

    def _ask(self, call: RunnerCall) -> RunnerOutput | None:
        """Return what the runner said, None when it could not be started for lack of processes."""
        api = self._engine.client.api
        made = api.exec_create(
            self._container,
            [RUNNER, *call.arguments],
            stdin=call.give is not None,
            user="0",
            environment=dict(call.env),
            privileged=call.sealing,
        )
        try:
            raw = api.exec_start(made["Id"], socket=True)
        except NotFound:
            raise
        except (APIError, requests.Timeout):  # a full sandbox starts nothing, or never
            self._require_running()
            return None
        with Stream(raw, call.room) as stream:
            if call.give is not None:
                stream.send(call.give)
            in_time = stream.read(call.wait_s)
        answer = stream.answer()
        if not in_time:
            self._restart()
            raise RunnerTimeout(answer)
        if answer.trailer is None:
            code = api.exec_inspect(made["Id"])["ExitCode"]
            self._require_running()
            if code not in KILLED_CODES and not answer.output:
                return None
        elif answer.trailer.problem.startswith("cannot start a process"):
            return None
        return answer

    async def restart(self) -> None:
        """End every process inside and keep the files."""
        with engine_errors(Cause.SANDBOX_IO, self._container):
            await self._engine.call(self._restart)

    def _restart(self) -> None:
        """End every process inside and keep the files: after a fork bomb nothing else helps."""
        self._door_open = self._proxy is None
        for patience in (*RESTART_PAUSES_S, None):
            try:
                self._engine.client.api.restart(self._container, timeout=0)
            except APIError as error:
                # The engine waits ten seconds for a thousand processes to be gone.
                if patience is None or error.status_code < requests.codes.server_error:
                    raise
                time.sleep(patience)
            else:
                return

    async def _measure(self) -> Taken:
        with engine_errors(Cause.SANDBOX_IO, self._container):
            return await self._engine.call(self._taken)

    def _taken(self) -> Taken:
        api: Any = self._engine.client.api
        container = api.inspect_container(self._container)
        layer = container["GraphDriver"]["Data"].get("UpperDir")
        if layer and os.geteuid() == 0 and Path(layer).is_dir():
            size, entries = taken(Path(layer))
            return Taken(size + held(container["State"]["Pid"]), entries)
        found = api.containers(all=True, size=True, filters={"id": self._container})
        return Taken(int(found[0].get("SizeRw", 0)) if found else 0, None)

    async def listen(self, port: int) -> socket.socket:
        """Return a socket that listens inside."""
        with engine_errors(Cause.SANDBOX_START, self._container):
            return await self._engine.call(self._handed_out, port)

    def _handed_out(self, port: int) -> socket.socket:
        assert self._hatch is not None, "started without `listens`"
        api = self._engine.client.api
        command = [RUNNER, "listen", str(port), f"{HATCH_DIR}/{Hatch.NAME}"]
        with self._hatch.open() as waiting:
            made = api.exec_create(self._container, command, user="0")
            api.exec_start(made["Id"], detach=True)
            try:
                channel, _ = waiting.accept()
            except TimeoutError as error:
                problem = "the engine is not on this machine: there is no way out to give"
                raise InfrastructureError(Cause.SANDBOX_START, problem) from error
            finally:
                self._hatch.shut()
        with channel:
            return receive(channel)

    def _require_running(self) -> None:
        state = self._engine.client.api.inspect_container(self._container)["State"]
        if not state["Running"]:
            reason = "it ran out of memory" if state.get("OOMKilled") else state["Status"]
            raise InfrastructureError(
                Cause.CONTAINER_LOST, f"container {self._container[:12]}: {reason}"
            )

    async def close(self) -> None:
        """End everything and remove it; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._forget(self)
        await self.end()
        try:
            with engine_errors(Cause.ENGINE_UNAVAILABLE):
                await self._engine.call(remove, self._engine, self._container)
        finally:
            if self._hatch is not None:
                self._hatch.remove()


def remove(engine: Engine, container: str) -> None:
    """Remove a container and its anonymous volumes; one that is gone already is fine."""
    try:
        engine.client.api.remove_container(container, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # another removal is under way
            raise
