"""The two-way stream of a `docker exec`, read against a deadline of our own.

The SDK's `exec_run` waits for ever and cannot be given input. Its socket can be used, with
one care: bytes that arrived together with the response's header are in the response's
buffer and not in the socket.
"""

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any, Self

from grindstone.sandbox.wire import CHUNK, AnswerReader, RunnerOutput

FRAME = struct.Struct(">BxxxL")
"""Docker's frame around output without a terminal: which stream, and how many bytes."""

STDOUT = 1

WAKE_S = 0.2
"""How often a writer looks whether anyone is still interested."""


class Stream:
    """A started exec's connection; a context manager that closes it."""

    def __init__(self, raw: Any, room: int) -> None:
        self._raw = raw
        self._response = getattr(raw, "_response", None)
        self._socket: socket.socket = getattr(raw, "_sock", raw)
        self._records = AnswerReader(room)
        self._rest = bytearray()
        self._writer: threading.Thread | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._socket.settimeout(0)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._writer is not None:
            self._writer.join()
        if self._response is not None:
            self._response.close()
        self._raw.close()

    def send(self, pieces: Sequence[bytes]) -> None:
        """Begin to send standard input; a command that does not read it to its end is fine."""
        self._writer = threading.Thread(target=self._write, args=(pieces,), daemon=True)
        self._writer.start()

    def _write(self, pieces: Sequence[bytes]) -> None:
        with contextlib.suppress(OSError), selectors.DefaultSelector() as ready:
            ready.register(self._socket, selectors.EVENT_WRITE)
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    if self._ended.is_set():
                        return
                    if not ready.select(WAKE_S):
                        continue
                    with contextlib.suppress(BlockingIOError):
                        left = left[self._socket.send(left[:CHUNK]) :]
            self._socket.shutdown(socket.SHUT_WR)

    def read(self, wait_s: float) -> bool:
        """Read until the runner's trailer or the stream's end; False when `wait_s` passed first."""
        stop_at = time.monotonic() + wait_s
        if self._response is not None:
            self._feed(self._response.raw._fp.fp.peek())
        with selectors.DefaultSelector() as ready:
            ready.register(self._socket, selectors.EVENT_READ)
            while not self._records.done:
                left = stop_at - time.monotonic()
                if left <= 0:
                    return False
                if not ready.select(left):
                    continue
                try:
                    data = self._socket.recv(CHUNK)
                except BlockingIOError:
                    continue
                if not data:
                    return True
                self._feed(data)
        return True

    def _feed(self, data: bytes) -> None:
        self._rest += data
        at = 0
        while len(self._rest) - at >= FRAME.size:
            stream, length = FRAME.unpack_from(self._rest, at)
            end = at + FRAME.size + length
            if len(self._rest) < end:
                break
            if stream == STDOUT:
                self._records.feed(bytes(self._rest[at + FRAME.size : end]))
            at = end
        del self._rest[:at]

    def answer(self) -> RunnerOutput:
        """Return what the runner said."""
        return self._records.answer()
