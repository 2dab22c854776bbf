"""The streams of a command in a pod, over one websocket (`v5.channel.k8s.io`).

The first byte of a message tells the channel. 255 ends one: without that, which came with the
fifth version, a command would wait for ever for the end of its standard input.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import aiohttp

from grindstone.sandbox.wire import AnswerReader, RunnerOutput

STDIN, STDOUT, STDERR, STATUS, ENDS = 0, 1, 2, 3, 255

PIECE = 1 << 18
"""Bytes of a message."""

BINARY = aiohttp.WSMsgType.BINARY


class CommandEnd(NamedTuple):
    """What came of a command, and how it ended."""

    answer: RunnerOutput
    status: "Status | None"  # None: the connection broke off

    @property
    def broke_off(self) -> bool:
        """Whether nobody said how the command ended."""
        return self.answer.trailer is None and self.status is None


class Status(NamedTuple):
    """What the kubelet says of a command that ended, or never began."""

    exit_code: int | None  # None: it could not be started
    message: str


async def converse(
    socket: Any, give: Iterable[bytes] | None, room: int, wait_s: float
) -> CommandEnd:
    """Send standard input, and read to the runner's last word.

    Raises:
        TimeoutError: It was not said in time; carries what had come as its argument.
        InfrastructureError: What came is nothing that a runner says.
    """
    records = AnswerReader(room)
    feeding = asyncio.ensure_future(_feed(socket, give or ()))
    status = None
    try:
        async with asyncio.timeout(wait_s):
            while not records.done and status is None:
                message = await socket.receive()
                if message.type is not BINARY:
                    break
                channel, data = message.data[:1], message.data[1:]
                if channel == bytes([STDOUT]):
                    records.feed(data)
                elif channel == bytes([STATUS]) and data:
                    status = read_status(data)
    except TimeoutError as error:
        raise TimeoutError(records.answer()) from error
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    return CommandEnd(records.answer(), status)


async def _feed(socket: Any, give: Iterable[bytes]) -> None:
    with contextlib.suppress(aiohttp.ClientError, OSError):  # a command need not read its input
        for piece in give:
            for at in range(0, len(piece), PIECE):
                await socket.send_bytes(bytes([STDIN]) + piece[at : at + PIECE])
        await socket.send_bytes(bytes([ENDS, STDIN]))


def read_status(data: bytes) -> Status:
    """Return what a status (a `metav1.Status`) says; one that cannot be read is no start."""
    try:
        told = json.loads(data)
        if told["status"] == "Success":
            return Status(0, "")
        causes = (told.get("details") or {}).get("causes") or []
        code = next((cause["message"] for cause in causes if cause["reason"] == "ExitCode"), None)
        return Status(None if code is None else int(code), str(told.get("message", "")))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Status(None, data[:300].decode(errors="replace"))
