"""A sandbox that remembers what its commands showed, so that an attempt is resumed exactly.

An attempt that a kill cut short is made again in a fresh sandbox with the answers it had paid
for. Each answer was given to what the commands before it had shown; a terminal read at another
moment, or a command that prints a random number, shows something else now, and the model would
be asked, and paid, once more. So every command's result is kept on disk. Where the same command
comes in the same place again it is run in the new sandbox too, but what is told of it is what was
told then. From the first command that has no place in the memory on, all is live.

Where the new sandbox shows something else it may be behind: the agent thought between two
commands and time passed, but answers out of the journal come at once. Then the next command waits
as long as the agent thought.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import NonNegativeFloat, ValidationError

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.errors import Cause, InfrastructureError
from grindstone.llm.volatile import masked
from grindstone.masking import NO_MASK, Mask
from grindstone.sandbox.protocol import ExecResult, Sandbox, SealedResult, SealedSpec
from grindstone.sandbox.registry import Kind

_LONGEST_THOUGHT_S = 60.0


class _Remembered(Frozen):
    """One command and its result."""

    command: str
    """A digest of all that was to be run."""
    thought_s: NonNegativeFloat
    """From the end of the command before to the start of this one."""
    result: ExecResult


class ReplayingSandbox:
    """A `Sandbox` whose commands are remembered in a file; the rest goes straight through.

    One process writes the file at a time. It is not synced to disk: what a power cut takes from
    it is live again, and costs no more than the calls behind it.
    """

    def __init__(self, sandbox: Sandbox, path: Path, *, mask: Mask = NO_MASK) -> None:
        self._sandbox = sandbox
        self._mask = mask
        self._path = path
        self._past = _read(path)
        self._kept = 0  # bytes of the file that stand for commands made by now
        self._kept_before = 0  # the same, without the last command
        self._behind = False
        self._ended = time.monotonic()

    @property
    def kind(self) -> Kind:
        """Which engine it is of."""
        return self._sandbox.kind

    @property
    def workdir(self) -> str:
        """The folder commands start in."""
        return self._sandbox.workdir

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
        """Run a command, and return what it showed when it had this place for the first time."""
        wanted = digest([command, cwd, dict(env or {}), (stdin or b"").hex()])
        known = self._recall(wanted)
        if known is not None and self._behind:
            await asyncio.sleep(min(known.thought_s, _LONGEST_THOUGHT_S))
        thought_s = time.monotonic() - self._ended
        result = await self._sandbox.exec(
            command,
            timeout_s=timeout_s,
            cwd=cwd,
            env=env,
            stdin=stdin,
            max_output_bytes=max_output_bytes,
        )
        result = result._replace(output=self._mask(result.output))
        self._ended = time.monotonic()
        if known is not None:
            self._behind = not _alike(result, known.result)
            return known.result
        line = _Remembered(command=wanted, thought_s=thought_s, result=result)
        await asyncio.to_thread(self._keep, line)
        return result

    def _recall(self, command: str) -> _Remembered | None:
        """Return what had this place; the first time it is another command, forget the rest."""
        known = next(self._past, None)
        if known is None or known.line.command != command:
            self._past = iter(())
            return None
        self._kept_before, self._kept = self._kept, known.end
        return known.line

    def _keep(self, line: _Remembered) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.truncate(self._kept)
            file.seek(self._kept)
            file.write(line.model_dump_json().encode() + b"\n")
            self._kept_before, self._kept = self._kept, file.tell()

    def forget_last(self) -> None:
        """Forget the last command and all that was to come after it."""
        self._past, self._kept = iter(()), self._kept_before
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self._path, self._kept)

    async def write_files(self, files: Mapping[str, bytes], *, mode: int = 0o644) -> None:
        """Write files."""
        await self._sandbox.write_files(files, mode=mode)

    async def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder in."""
        await self._sandbox.copy_in(source, target)

    async def read_file(self, path: str, *, max_bytes: int = 10_000_000) -> bytes | None:
        """Return a file's content."""
        return await self._sandbox.read_file(path, max_bytes=max_bytes)

    async def copy_out(self, source: str, target: Path, *, max_bytes: int = 50_000_000) -> None:
        """Copy a folder out."""
        await self._sandbox.copy_out(source, target, max_bytes=max_bytes)

    async def exec_sealed(self, spec: SealedSpec) -> SealedResult:
        """Run a sealed command."""
        return await self._sandbox.exec_sealed(spec)

    async def listen(self, port: int) -> socket.socket:
        """Return a socket that listens inside."""
        return await self._sandbox.listen(port)

    async def memory_kills(self) -> int:
        """Return how many processes were ended for memory."""
        return await self._sandbox.memory_kills()

    async def close(self) -> None:
        """End everything."""
        await self._sandbox.close()


@contextlib.contextmanager
def remembering(sandbox: Sandbox, path: Path | None, *, mask: Mask = NO_MASK) -> Iterator[Sandbox]:
    """Yield the sandbox with a memory in a file, or as it is where no file is named.

    Where what a command showed was that the sandbox does not work, the next try is to see for
    itself: that command is forgotten. What commands show is masked before anyone sees it.
    """
    if path is None:
        yield sandbox
        return
    remembered = ReplayingSandbox(sandbox, path, mask=mask)
    try:
        yield remembered
    except InfrastructureError as error:
        if error.cause is Cause.SANDBOX_IO:
            remembered.forget_last()
        raise


class _Place(NamedTuple):
    line: _Remembered
    end: int  # where it ends in the file


def _read(path: Path) -> Iterator[_Place]:
    """Yield what a file remembers, up to the first line that a kill tore."""
    end = 0
    with contextlib.suppress(FileNotFoundError, ValidationError):
        for data in path.read_bytes().splitlines(keepends=True):
            if not data.endswith(b"\n"):
                return
            end += len(data)
            yield _Place(_Remembered.model_validate_json(data), end)


def _alike(one: ExecResult, other: ExecResult) -> bool:
    return (one.exit_code, masked(one.output)) == (other.exit_code, masked(other.output))
