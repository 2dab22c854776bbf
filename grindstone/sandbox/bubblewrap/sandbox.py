"""A bubblewrap box as a sandbox: how the runner inside is reached."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.bubblewrap.box import LOWEST_ENVIRONMENT, Box
from grindstone.sandbox.bubblewrap.host import enter_namespace, mode
from grindstone.sandbox.disk import Taken
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.registry import Kind
from grindstone.sandbox.remote import RemoteSandbox, RunnerCall, RunnerTimeout
from grindstone.sandbox.usage import held, taken
from grindstone.sandbox.wire import CHUNK, AnswerReader, RunnerOutput

PREFIX = "SANDBOX_ENV_"
"""Before the names of variables on their way through programs that run outside."""


class BubblewrapSandbox(RemoteSandbox):
    """A running box."""

    kind: Kind = "bubblewrap"

    def __init__(
        self,
        box: Box,
        workdir: str,
        env: Mapping[str, str],
        network: NetworkRules,
        forget: Callable[["BubblewrapSandbox"], None],
    ) -> None:
        super().__init__(workdir, network, box.limits)
        self._box = box
        self._env = env
        self._forget = forget
        self._closed = False

    @property
    def box(self) -> Box:
        """The namespaces and folders it runs in."""
        return self._box

    async def _talk(self, call: RunnerCall) -> RunnerOutput:
        if not self._box.alive():
            raise InfrastructureError(Cause.CONTAINER_LOST, "the bubblewrap process is gone")
        await self.open_door()
        options = ["--env", "--filter"]
        if call.verb in {"exec", "seal"} and not self._box.groups.enforced:
            options += ["--nproc", str(self._box.limits.pids)]
        call = call.with_options(*options)
        for _ in range(2):
            answer = await self._ask(call)
            if answer is not None:
                return answer
            await self.restart()
        raise InfrastructureError(Cause.SANDBOX_IO, "no process can be started in the sandbox")

    async def _ask(self, call: RunnerCall) -> RunnerOutput | None:
        variables = {f"{PREFIX}{name}": value for name, value in {**self._env, **call.env}.items()}
        entering, descriptors = self._box.enter()
        process = await asyncio.create_subprocess_exec(
            *entering,
            *call.arguments,
            pass_fds=descriptors,
            stdin=asyncio.subprocess.DEVNULL if call.give is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**LOWEST_ENVIRONMENT, **variables},
        )
        records = AnswerReader(call.room)
        feeding = asyncio.ensure_future(_feed(process, call.give or []))
        try:
            await asyncio.wait_for(_listen(process, records), call.wait_s)
        except TimeoutError:
            await self.restart()
            raise RunnerTimeout(records.answer()) from None
        finally:
            feeding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feeding
            problem = await _end(process)
        answer = records.answer()
        if answer.trailer is None:
            if not self._box.alive():
                raise InfrastructureError(Cause.CONTAINER_LOST, "the sandbox's first process died")
            if problem and not answer.output:  # the runner could not be started
                return None
        elif answer.trailer.problem.startswith("cannot start a process"):
            return None
        return answer

    async def restart(self) -> None:
        """End every process inside and keep the files."""
        self._box.stop()
        self._door_open = self._proxy is None
        await self._box.start()

    async def _measure(self) -> Taken:
        entering = enter_namespace() if mode() == "rootless" else []
        size, entries = await asyncio.to_thread(taken, self._box.folder / "upper", entering)
        return Taken(size + await asyncio.to_thread(held, self._box.first), entries)

    async def memory_kills(self) -> int:
        """Return how many processes were ended for memory; 0 where no control group is."""
        return self._box.groups.memory_kills()

    async def listen(self, port: int) -> socket.socket:
        """Return a socket that listens inside."""
        return await asyncio.to_thread(self._box.door, port)

    async def close(self) -> None:
        """End everything and remove it; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._forget(self)
        await self.end()
        self._box.stop()
        await asyncio.to_thread(self._box.remove)


async def _feed(process: asyncio.subprocess.Process, give: Sequence[bytes]) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(OSError):  # a command that does not read its input is fine
        for piece in give:
            process.stdin.write(piece)
            await process.stdin.drain()
        process.stdin.close()


async def _listen(process: asyncio.subprocess.Process, records: AnswerReader) -> None:
    assert process.stdout is not None
    while not records.done:
        data = await process.stdout.read(CHUNK)
        if not data:
            return
        records.feed(data)


async def _end(process: asyncio.subprocess.Process) -> str:
    """Wait for an entering process that has nothing more to do; return its complaint."""
    assert process.stderr is not None
    try:
        told = await asyncio.wait_for(process.stderr.read(), 5)
        await asyncio.wait_for(process.wait(), 5)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        return ""
    return told.decode(errors="replace").strip()
