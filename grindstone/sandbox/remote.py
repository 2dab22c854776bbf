"""The sandbox protocol on top of one thing: talking to the runner inside.

Engines differ in how a process gets inside and in nothing else, so what a
command, a copy or a sealed run means is written once.
"""

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from grindstone.errors import Cause, InfrastructureError, UncarriableError
from grindstone.files import write_atomic
from grindstone.sandbox.disk import DiskWatch, Taken
from grindstone.sandbox.network.doors import PORT
from grindstone.sandbox.network.proxy import Proxy, Visit
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.protocol import ExecResult, Keep, Limits, SealedResult, SealedSpec
from grindstone.sandbox.registry import Kind
from grindstone.sandbox.usage import kills_in
from grindstone.sandbox.wire import END, LEFT, RunnerOutput, file_record, folder_records

RUNNER_DIR = "/.grindstone"
"""Where the runner is inside: read-only, and not to be unmounted by anything in there."""

RUNNER = f"{RUNNER_DIR}/runner"

MOVE_TIMEOUT_S = 300.0
"""For moving files; a command has its own limit."""

GRACE_S = 20.0
"""How long past its limit a command's end may take to be heard of."""

LOG_BYTES = 64 << 20
"""Of the files that a sealed command may hand back, as in runner.c."""

KEEP_OPTIONS: Mapping[Keep, tuple[str, ...]] = {
    "nothing": (),
    "listening": ("--keep-listening",),
    "all": ("--keep",),
}

PERMISSIONS = 0o777
"""What of a file's mode is kept on the host: not set-uid, set-gid or sticky."""

LONGEST_ARGUMENT = 100_000
"""Bytes of a command passed as an argument; the kernel's limit is 131,072 (MAX_ARG_STRLEN)."""


MEMORY_FILES = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
"""Where a container sees its own group, read-only, on either version of control groups."""


@dataclass(frozen=True)
class RunnerCall:
    """What the runner inside is asked for, once."""

    arguments: tuple[str, ...]
    give: Sequence[bytes] | None = None  # its standard input; None: none
    env: Mapping[str, str] = field(default_factory=dict)  # beside the sandbox's own
    wait_s: float = MOVE_TIMEOUT_S
    room: int = 0  # bytes of output and files that may come
    sealing: bool = False  # whether it needs the privileges to make a mount namespace

    @property
    def verb(self) -> str:
        """The first argument."""
        return self.arguments[0]

    def with_options(self, *options: str) -> "RunnerCall":
        """Return the same call with options after its verb."""
        verb, *rest = self.arguments
        return replace(self, arguments=(verb, *options, *rest))


class RunnerTimeout(Exception):  # noqa: N818
    """The runner never answered within its limit and grace; carries what had come."""

    def __init__(self, answer: RunnerOutput) -> None:
        super().__init__("no answer from the runner")
        self.answer = answer


class RemoteSandbox(ABC):
    """A sandbox in which the runner is at `RUNNER`."""

    kind: Kind
    longest_argument = LONGEST_ARGUMENT

    def __init__(self, workdir: str, network: NetworkRules, limits: Limits) -> None:
        self._workdir = workdir
        self._limits = limits
        self._kills = 0
        self._disk = DiskWatch(limits, self._measure, lambda: self._move(["sweep"]))
        self._numbers = count(1)
        self._proxy = None if network.mode == "none" else Proxy(network)
        self._door_open = self._proxy is None

    @property
    def visits(self) -> Sequence[Visit]:
        """What was asked of the network, let through or refused, up to now."""
        return () if self._proxy is None else tuple(self._proxy.visits)

    async def begin(self) -> None:
        """Open the door and begin to watch the disk; before the first command."""
        await self.open_door()
        self._disk.begin()

    async def end(self) -> None:
        """Let nothing more through and watch no longer; before the sandbox is removed."""
        await self._disk.stop()
        if self._proxy is not None:
            await self._proxy.close()

    @abstractmethod
    async def _measure(self) -> Taken:
        """Return what it takes of the disk."""

    async def open_door(self) -> None:
        """See to it that what the network rules allow can be reached from inside."""
        if self._proxy is not None and not self._door_open:
            await self._proxy.serve(await self.listen(PORT))
            self._door_open = True

    @abstractmethod
    async def listen(self, port: int) -> socket.socket:
        """Return a socket that listens inside, at a port of its loopback."""

    @property
    def workdir(self) -> str:
        """The folder commands start in."""
        return self._workdir

    @abstractmethod
    async def _talk(self, call: RunnerCall) -> RunnerOutput:
        """Open the door if need be, run the runner inside and return what it said.

        Raises:
            RunnerTimeout: It took longer than it may; the sandbox's processes are all ended.
        """

    async def exec(
        self,
        command: str,
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        max_output_bytes: int = 1_000_000,
    ) -> ExecResult:
        """Run a bash command line as root."""
        command = await self._shortened(command)
        arguments = ["exec", *self._options(timeout_s, max_output_bytes, cwd)]
        if stdin is not None:
            arguments.append("--stdin")
        call = RunnerCall(
            (*arguments, "--", "bash", "-c", command),
            give=None if stdin is None else [stdin],
            env=env or {},
            wait_s=timeout_s + GRACE_S,
            room=max_output_bytes,
        )
        began = time.monotonic()
        try:
            answer = await self._talk(call)
        except RunnerTimeout as late:
            answer = late.answer
            return _result(answer, began, max_output_bytes, exit_code=124)
        if answer.note == LEFT:
            await self.restart()
        return await self._told(_result(answer, began, max_output_bytes))

    @abstractmethod
    async def restart(self) -> None:
        """End every process inside and keep the files."""

    async def _told(self, result: ExecResult) -> ExecResult:
        """Add why the sandbox's own limits ended something, where they did."""
        notes = []
        if exceeded := await self._disk.told():
            notes.append(f"[the sandbox took {exceeded}: its processes were ended]")
        if result.exit_code == KILLED or "Killed" in result.output[-200:]:
            before, self._kills = self._kills, await self.memory_kills()
            if self._kills > before:
                most = self._limits.memory_limit_mb
                notes.append(f"[out of memory: a process was ended at {most} MB]")
        if not notes:
            return result
        return result._replace(output="\n".join([result.output, *notes, ""]))

    async def memory_kills(self) -> int:
        """Return how many processes the kernel ended because memory was used up."""
        for path in MEMORY_FILES:
            if (content := await self.read_file(path)) is not None:
                return kills_in(content.decode(errors="replace"))
        return 0

    async def exec_sealed(self, spec: SealedSpec) -> SealedResult:
        """End what runs already, then run a command in a mount namespace of its own."""
        command, most = await self._shortened(spec.command), spec.max_output_bytes
        options = [*self._options(spec.timeout_s, most, spec.cwd), *KEEP_OPTIONS[spec.keep]]

        given = [
            record
            for target, source in spec.inputs.items()
            for record in folder_records(source, target)
        ]
        call = RunnerCall(
            ("seal", *options, spec.log_dir, *spec.inputs, "--", "bash", "-c", command),
            give=[*given, END],
            env=spec.env,
            wait_s=spec.timeout_s + MOVE_TIMEOUT_S,
            room=most + LOG_BYTES,
            sealing=True,
        )
        began = time.monotonic()
        try:
            with self._ruled_by(spec.network):
                answer = await self._talk(call)
        except RunnerTimeout as late:
            run = _result(late.answer, began, most, exit_code=124)
            return SealedResult(run, late.answer.files, late.answer.note)
        run = _result(answer, began, most)
        return SealedResult(run, answer.files, answer.note)

    def _ruled_by(self, network: NetworkRules | None) -> AbstractContextManager[None]:
        if self._proxy is None or network is None:
            return nullcontext()
        return self._proxy.ruled_by(network)

    async def write_files(self, files: Mapping[str, bytes], *, mode: int = 0o644) -> None:
        """Write files by absolute path, making folders as needed, replacing links."""
        records = [file_record(path, content, mode) for path, content in files.items()]
        _checked(await self._move(["put"], [*records, END]))

    async def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder's content (modes kept, links as links) to an absolute folder."""
        _checked(await self._move(["put"], [*folder_records(source, target), END]))

    async def read_file(self, path: str, *, max_bytes: int = 10_000_000) -> bytes | None:
        """Return the first `max_bytes` of a regular file, None where there is none."""
        answer = _checked(await self._move(["cat", str(max_bytes), path], room=max_bytes))
        return answer.files.get("")

    async def copy_out(self, source: str, target: Path, *, max_bytes: int = 50_000_000) -> None:
        """Copy a folder's folders and regular files to an empty host folder; no links."""
        answer = await self._move(["tree", str(max_bytes), source], room=max_bytes)
        if answer.trailer is not None and answer.trailer.exit_code != 0:
            raise UncarriableError(f"{source}: {answer.trailer.problem}")
        _checked(answer)
        for name in (*answer.folders, *answer.files):
            if name.startswith("/") or ".." in name.split("/"):
                raise InfrastructureError(Cause.SANDBOX_IO, f"{source}: a file is named {name!r}")
        try:
            for name in answer.folders:
                (target / name).mkdir(parents=True, exist_ok=True)
            for name, content in answer.files.items():
                write_atomic(target / name, content)
                (target / name).chmod(answer.modes.get(name, 0o644) & PERMISSIONS)
        except (OSError, ValueError) as error:  # a name this file system has no room for
            raise UncarriableError(f"{source}: {error}") from error

    async def _move(
        self, arguments: Sequence[str], give: Sequence[bytes] | None = None, room: int = 0
    ) -> RunnerOutput:
        try:
            return await self._talk(RunnerCall(tuple(arguments), give, room=room))
        except RunnerTimeout as late:
            problem = f"moving files took longer than {MOVE_TIMEOUT_S:g} s"
            raise InfrastructureError(Cause.SANDBOX_IO, problem) from late

    async def _shortened(self, command: str) -> str:
        if len(command.encode(errors="surrogateescape")) <= self.longest_argument:
            return command
        path = f"/tmp/.grindstone-command-{next(self._numbers)}"
        await self.write_files({path: command.encode(errors="surrogateescape")}, mode=0o600)
        return f'_command=$(cat {path}); rm -f {path}; eval "$_command"'

    def _options(self, timeout_s: float, max_bytes: int, cwd: str | None) -> list[str]:
        limits = ["--timeout", str(round(timeout_s * 1000)), "--max", str(max_bytes)]
        largest = ["--fsize", str(self._limits.disk_bytes)]
        return [*limits, *largest, "--cwd", cwd or self._workdir]


def _checked(answer: RunnerOutput) -> RunnerOutput:
    if answer.trailer is None:
        raise InfrastructureError(Cause.SANDBOX_IO, "the runner was ended from inside the sandbox")
    if answer.trailer.exit_code != 0:
        raise InfrastructureError(Cause.SANDBOX_IO, answer.trailer.problem)
    return answer


KILLED = 137
"""The exit code of a command whose runner was killed by something inside the sandbox."""


def _result(
    answer: RunnerOutput, began: float, max_bytes: int, *, exit_code: int | None = None
) -> ExecResult:
    output, trailer = answer.output, answer.trailer
    if trailer is not None and trailer.problem:
        raise InfrastructureError(Cause.SANDBOX_IO, trailer.problem)
    left_out = max(trailer.total - len(output), 0) if trailer else 0
    if left_out:
        head = max_bytes // 2
        note = f"\n[… {left_out} bytes left out …]\n".encode()
        output = output[:head] + note + output[head:]
    if trailer is not None:
        exit_code = trailer.exit_code
    return ExecResult(
        exit_code=KILLED if exit_code is None else exit_code,
        output=output.decode(errors="replace"),
        timed_out=trailer.timed_out if trailer else exit_code is not None,
        duration_s=time.monotonic() - began,
        truncated=left_out > 0,
    )
