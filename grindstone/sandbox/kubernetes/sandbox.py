"""One pod as a sandbox: how the runner is reached through the API's exec."""

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.disk import Taken
from grindstone.sandbox.kubernetes.cluster import Cluster, cluster_errors
from grindstone.sandbox.kubernetes.removal import remove
from grindstone.sandbox.kubernetes.stream import CommandEnd, converse
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.protocol import Limits
from grindstone.sandbox.registry import Kind
from grindstone.sandbox.remote import RUNNER, RemoteSandbox, RunnerCall, RunnerTimeout
from grindstone.sandbox.wire import RunnerOutput, variable_records

AGAIN = frozenset({"put", "cat", "tree", "sweep", "reach"})
"""What may be asked a second time where a connection broke off; a command may not."""

KILLED_CODES = frozenset({137, 143})
"""Exit codes of a runner that something inside the pod killed."""

SWEEPS = 5
SWEEP_S = 20.0


class KubernetesSandbox(RemoteSandbox):
    """A running pod."""

    kind: Kind = "kubernetes"
    longest_argument = 2_000  # it travels in an address, where proxies take 8,192 bytes

    def __init__(
        self,
        cluster: Cluster,
        pod: str,
        limits: Limits,
        forget: Callable[["KubernetesSandbox"], None],
    ) -> None:
        super().__init__("/", NetworkRules(), limits)
        self._cluster = cluster
        self._pod = pod
        self._forget = forget
        self._closed = False

    @property
    def pod(self) -> str:
        """The pod's name."""
        return self._pod

    async def begin(self) -> None:
        """Ask where commands begin, before the first one; the kubelet watches the disk."""
        asked = ["exec", "--timeout", "20000", "--max", "4096", "--", "sh", "-c", "pwd"]
        answer = await self._talk(RunnerCall(tuple(asked), room=4096))
        told = answer.output.decode(errors="replace").strip()
        if not told.startswith("/"):
            problem = f"pod {self._pod}: no command runs in its image: {told or 'no sh'}"
            raise InfrastructureError(Cause.SANDBOX_START, problem)
        self._workdir = told

    async def reached(self, targets: Iterable[tuple[str, int]], wait_s: float) -> str:
        """Return which of some addresses and ports take a connection from inside; empty: none."""
        pairs = [word for address, port in targets for word in (address, str(port))]
        asked = ["reach", str(round(wait_s * 1000)), *pairs]
        answer = await self._talk(RunnerCall(tuple(asked), room=8_192))
        if answer.trailer is None or answer.trailer.problem:
            problem = answer.trailer.problem if answer.trailer else "the runner was ended"
            raise InfrastructureError(Cause.SANDBOX_START, f"pod {self._pod}: {problem}")
        return ", ".join(answer.output.decode().split("\n")).strip(", ")

    async def _talk(self, call: RunnerCall) -> RunnerOutput:
        if self._closed:
            raise InfrastructureError(Cause.CONTAINER_LOST, f"pod {self._pod}: it was closed")
        options = ["--filter"]
        if call.verb in {"exec", "seal"}:
            options += ["--nproc", str(self._limits.pids)]
        if call.env:
            options.append("--read-env")
            call = replace(call, give=[*variable_records(call.env), *(call.give or [])])
        call = call.with_options(*options)
        for last in (False, True):
            try:
                ending = await self._ask(call)
            except TimeoutError as late:
                await self.restart()
                raise RunnerTimeout(late.args[0]) from late
            if ending.broke_off:
                await self._require_running()
                if call.verb in AGAIN and not last:
                    continue
                await self.restart()
                problem = f"pod {self._pod}: the connection broke off while a command ran"
                raise InfrastructureError(Cause.SANDBOX_IO, problem)
            if not await self._not_started(ending):
                return ending.answer
            if not last:
                await self.restart()
        problem = f"pod {self._pod}: no process can be started in it"
        raise InfrastructureError(Cause.SANDBOX_IO, problem)

    async def _ask(self, call: RunnerCall) -> CommandEnd:
        with cluster_errors(Cause.SANDBOX_IO, self._pod):
            try:
                async with self._cluster.command(
                    self._pod, [RUNNER, *call.arguments]
                ) as connection:
                    try:
                        return await converse(connection, call.give, call.room, call.wait_s)
                    except TimeoutError as late:
                        raise _Late(late.args[0]) from late
            except _Late as late:
                answer = late.args[0]
            except Exception:
                await self._require_running()  # which tells why it is gone
                raise
        raise TimeoutError(answer)

    async def _not_started(self, ending: CommandEnd) -> bool:
        trailer, status = ending.answer.trailer, ending.status
        if trailer is not None:
            return trailer.problem.startswith("cannot start a process")
        await self._require_running()
        killed = status is not None and status.exit_code in KILLED_CODES
        return not killed and not ending.answer.output

    async def restart(self) -> None:
        """End every process inside but the first, and keep the files."""
        problem = "it could not be asked to"
        for _ in range(SWEEPS):
            try:
                ending = await self._ask(RunnerCall(("sweep",), wait_s=SWEEP_S))
            except TimeoutError:
                continue
            if ending.answer.trailer is not None:
                return
            problem = ending.status.message if ending.status else problem
        problem = f"pod {self._pod}: ending its processes: {problem}"
        raise InfrastructureError(Cause.SANDBOX_IO, problem)

    async def _require_running(self) -> None:
        with cluster_errors(Cause.SANDBOX_IO, self._pod):
            pod = await self._cluster.pod(self._pod)
        if pod["metadata"].get("deletionTimestamp") or pod["status"].get("phase") != "Running":
            problem = f"pod {self._pod}: {why_ended(pod)}"
            raise InfrastructureError(Cause.CONTAINER_LOST, problem)

    async def _measure(self) -> Taken:
        """Return nothing: the kubelet measures, and evicts what takes too much."""
        return Taken(0, None)

    async def listen(self, port: int) -> socket.socket:
        """Refuse: a socket that listens in a pod cannot be handed out of it."""
        problem = f"port {port}: nothing out here can listen in a pod"
        raise InfrastructureError(Cause.SANDBOX_START, problem)

    async def close(self) -> None:
        """End everything and remove it; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._forget(self)
        await self.end()
        with cluster_errors(Cause.ENGINE_UNAVAILABLE):
            await remove(self._cluster, self._pod)


class _Late(Exception):  # noqa: N818 - on its way past what turns a TimeoutError into a lost API
    """The runner did not answer in time."""


def why_ended(pod: Mapping[str, Any]) -> str:
    """Return why a pod does not run, in words for whoever lost it."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated")
        if ended and ended.get("reason") == "OOMKilled":
            return "it ran out of memory"
    told = ": ".join(filter(None, (status.get("reason"), status.get("message"))))
    if told:
        return told
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
    return "it is being removed" if pod["metadata"].get("deletionTimestamp") else status["phase"]
