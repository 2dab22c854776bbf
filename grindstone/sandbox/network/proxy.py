"""An HTTP proxy for one sandbox: CONNECT and plain requests, each decided on by `rules`.

A name is resolved once and connected to at the address that was looked at; nothing is
followed, kept open for another request, or passed on that was not understood. What was asked
for is remembered and logged.
"""

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

from grindstone.sandbox.network.rules import NetworkRules, Pinned, RefusedDestination
from grindstone.sandbox.network.tls import NotTls, record_length, server_name

LOG = logging.getLogger(__name__)

LONGEST_HEAD = 65_536
HEAD_S, CONNECT_S, IDLE_S = 30.0, 20.0, 300.0
MOST_AT_ONCE = 64
MOST_VISITS = 10_000
RESOLVED_AT_ONCE = 4
"""In threads of the sandbox's own: an agent's name server may never answer, and a look-up cannot
be called off, so it must not hold the threads that the run's other work is done in."""

CHUNK = 65_536

_REQUEST = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,8192}) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_AUTHORITY = re.compile(r"([^:/@\[\]]+):([0-9]{1,5})")
_HOP = frozenset({b"connection", b"keep-alive", b"host", b"te", b"upgrade", b"proxy-connection"})


class Visit(NamedTuple):
    """One thing a sandbox asked for."""

    host: str
    port: int
    refused: str  # why; empty when it was let through
    sent: int = 0  # bytes
    received: int = 0


class _Request(NamedTuple):
    method: str
    host: str
    port: int
    path: str
    fields: tuple[tuple[bytes, bytes], ...]
    length: int  # of its body


class Proxy:
    """Serves one sandbox; belongs to one event loop."""

    def __init__(self, rules: NetworkRules) -> None:
        self._rules = rules
        self._left = rules.max_bytes
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._resolving: ThreadPoolExecutor | None = None
        self.visits: list[Visit] = []

    async def serve(self, door: socket.socket) -> None:
        """Begin to serve at a listening socket, in place of the one before."""
        await self.close()
        self._resolving = ThreadPoolExecutor(RESOLVED_AT_ONCE, "grindstone-names")
        self._server = await asyncio.start_server(self._accept, sock=door, limit=LONGEST_HEAD)

    @contextlib.contextmanager
    def ruled_by(self, rules: NetworkRules) -> Iterator[None]:
        """Decide by other rules for a while; connections that were let through before are cut."""
        before = self._rules
        if rules != before:
            self._cut()
        self._rules = rules
        try:
            yield
        finally:
            self._rules = before
            if rules != before:
                self._cut()

    def _cut(self) -> None:
        for task in self._busy:
            task.cancel()

    async def close(self) -> None:
        """End every connection; safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._cut()
        await asyncio.gather(*self._busy, return_exceptions=True)
        if self._resolving is not None:
            self._resolving.shutdown(wait=False, cancel_futures=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy.add(task)
        try:
            if len(self._busy) <= MOST_AT_ONCE:
                await self._answer(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # either side is gone
        finally:
            self._busy.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = "", 0
        try:
            request = await _read(reader)
            host, port = request.host, request.port
            if self._left <= 0:
                raise RefusedDestination("the sandbox has moved as many bytes as it may")
            pinned = await self._rules.pin(host, port, self._resolving)
            upstream = await _connect(pinned)
        except RefusedDestination as refusal:
            self._note(Visit(host, port, str(refusal)))
            text = f"grindstone: {refusal}\n".encode()
            head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(text)}\r\nConnection: close"
            writer.write(head.encode() + b"\r\n\r\n" + text)
            await writer.drain()
            return
        counts = [0, 0]
        refused = ""
        try:
            if request.method == "CONNECT":
                await self._tunnel(pinned, (reader, writer), upstream, counts)
            else:
                await self._pass_on(request, (reader, writer), upstream, counts)
        except RefusedDestination as refusal:
            refused = str(refusal)
        finally:
            upstream[1].close()
            self._note(Visit(host, port, refused, *counts))

    async def _tunnel(
        self, pinned: Pinned, inner: "_Ends", upstream: "_Ends", counts: list[int]
    ) -> None:
        inner[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await inner[1].drain()
        if self._rules.mode == "allowlist":
            hello = await _hello(inner[0], pinned)
            upstream[1].write(hello)
            counts[0] += len(hello)
        there = asyncio.create_task(self._pipe(inner[0], upstream[1], counts, 0))
        back = asyncio.create_task(self._pipe(upstream[0], inner[1], counts, 1))
        try:
            await asyncio.gather(there, back)
        finally:
            there.cancel()
            back.cancel()

    async def _pass_on(
        self, request: _Request, inner: "_Ends", upstream: "_Ends", counts: list[int]
    ) -> None:
        host = request.host if request.port == 80 else f"{request.host}:{request.port}"
        lines = [f"{request.method} {request.path} HTTP/1.1".encode(), f"Host: {host}".encode()]
        lines += [name + b": " + value for name, value in request.fields]
        upstream[1].write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
        left = request.length
        while left:
            data = await inner[0].read(min(left, CHUNK))
            if not data:
                return
            left -= len(data)
            await self._forward(data, upstream[1], counts, 0)
        await self._pipe(upstream[0], inner[1], counts, 1)

    async def _pipe(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        counts: list[int],
        way: int,
    ) -> None:
        while True:
            async with asyncio.timeout(IDLE_S):
                data = await source.read(CHUNK)
            if not data:
                break
            await self._forward(data, target, counts, way)
        with contextlib.suppress(OSError):
            target.write_eof()

    async def _forward(
        self, data: bytes, target: asyncio.StreamWriter, counts: list[int], way: int
    ) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise RefusedDestination("the sandbox has moved as many bytes as it may")
        counts[way] += len(data)
        target.write(data)
        await target.drain()

    def _note(self, visit: Visit) -> None:
        if len(self.visits) < MOST_VISITS:
            self.visits.append(visit)
        LOG.info("sandbox network: %s", visit)


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _read(reader: asyncio.StreamReader) -> _Request:
    try:
        async with asyncio.timeout(HEAD_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise RefusedDestination("the request's head is too long") from error
    first, *lines = head[:-4].split(b"\r\n")
    matched = _REQUEST.fullmatch(first)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if matched is None or not all(fields):
        raise RefusedDestination("that is no HTTP request to a proxy")
    pairs = [(field[1].lower(), field[2].strip()) for field in fields if field]
    lengths = {value for name, value in pairs if name == b"content-length"}
    if len(lengths) > 1 or any(not value.isdigit() or len(value) > 15 for value in lengths):
        raise RefusedDestination("the length of the request's body is unclear")
    if any(name == b"transfer-encoding" for name, _ in pairs):
        raise RefusedDestination("a request's body needs a Content-Length")
    method, target = matched[1].decode(), matched[2].decode()
    host, port, path = _destination(method, target)
    kept = [(name, value) for name, value in pairs if name not in _HOP and name[:6] != b"proxy-"]
    return _Request(method, host, port, path, tuple(kept), int(next(iter(lengths), b"0")))


def _destination(method: str, target: str) -> tuple[str, int, str]:
    if method == "CONNECT":
        matched = _AUTHORITY.fullmatch(target)
        if matched is None:
            raise RefusedDestination("hosts are given by name, not by address")
        return matched[1], int(matched[2]), ""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError as error:
        raise RefusedDestination("that is no address of a page") from error
    if parts.scheme != "http" or not host or "@" in parts.netloc:
        raise RefusedDestination(
            "only http:// addresses are asked for; for others there is CONNECT"
        )
    return host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


async def _connect(pinned: Pinned) -> _Ends:
    for address in pinned.addresses:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(address, pinned.port, limit=CHUNK)
        except (OSError, TimeoutError):
            continue
    raise RefusedDestination(f"{pinned.host}:{pinned.port} does not answer")


async def _hello(reader: asyncio.StreamReader, pinned: Pinned) -> bytes:
    """Return a tunnel's first record, which must ask for the host the tunnel was opened to."""
    try:
        async with asyncio.timeout(HEAD_S):
            begun = await reader.readexactly(5)
            record = begun + await reader.readexactly(record_length(begun) - 5)
        name = server_name(record)
    except NotTls as error:
        raise RefusedDestination(f"the tunnel to {pinned.host} does not speak TLS") from error
    if name != pinned.host:
        raise RefusedDestination(f"the tunnel to {pinned.host} asks for {name or 'no host'}")
    return record
