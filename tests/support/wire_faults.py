"""A reverse proxy that spoils a share of the answers, and remembers what passed it.

    with WireFaults(upstream_url, seed=7, rate=0.2) as proxy:
        ...  # point ANTHROPIC_BASE_URL (or rehearsal_url) at proxy.url
    assert spent.usage == proxy.delivered_usage

It runs in a thread of its own, so plain and async tests can both use it. Whether a request
is spoiled depends on the seed, its content and how often it came, never on the order in
which requests arrive; a request is spoiled at most `in_a_row` times, so that it gets
through within the tries of `errors.POLICIES`. With `script`, the given faults come in the
order of arrival instead.
"""

import asyncio
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Self

import httpx2

from grindstone.records import Usage


class WireFault(StrEnum):
    """A way of going wrong."""

    RATE_LIMITED = "rate_limited"  # 429 with a retry-after of an hour
    OVERLOADED = "overloaded"  # 529
    SERVER_ERROR = "server_error"  # 500
    DROPPED = "dropped"  # the connection closes before the answer
    CUT = "cut"  # the connection closes in the middle of the answer
    ENDED_EARLY = "ended_early"  # the answer ends in order, but half is missing
    ERROR_EVENT = "error_event"  # the stream breaks off with an overloaded_error event
    GARBAGE = "garbage"  # an event that is not JSON
    STALL = "stall"  # silence


FORWARDING = frozenset(
    {WireFault.CUT, WireFault.ENDED_EARLY, WireFault.ERROR_EVENT, WireFault.GARBAGE}
)
"""Faults that spoil a real answer: the upstream server saw the request and charges for it."""

_STATUS = {
    WireFault.RATE_LIMITED: (429, "rate_limit_error"),
    WireFault.OVERLOADED: (529, "overloaded_error"),
    WireFault.SERVER_ERROR: (500, "api_error"),
}
_ERROR_EVENT = (
    b"event: error\n"
    b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
)
_GARBAGE_EVENT = b"event: content_block_delta\ndata: {\x22type\x22: \xff<html>oops\n\n"


class Seen(NamedTuple):
    """One request that reached the proxy."""

    path: str
    digest: str
    fault: WireFault | None
    forwarded: bool
    usage: Usage  # as the upstream server counted it; zero when not forwarded
    told: Usage  # what of that was passed on, a spoiled answer's first events included
    body: dict[str, object]

    @property
    def delivered(self) -> bool:
        """Whether the whole answer was passed on."""
        return self.forwarded and self.fault is None


class _Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class WireFaults:
    """The proxy; `url` is where clients go."""

    def __init__(
        self,
        upstream: str,
        *,
        seed: int = 0,
        rate: float = 0.0,
        faults: Iterable[WireFault] = tuple(WireFault),
        script: Iterable[WireFault | None] | None = None,
        in_a_row: int = 2,
        stall_s: float = 30.0,
        retry_after_s: float = 3600.0,
        only: bytes = b"",
        before_answer: Callable[[int], None] = lambda count: None,
        after_answer: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Prepare a proxy.

        Requests that do not hold `only` are let through. The two functions are told which
        answer it is, counted from 1.
        """
        self._upstream = upstream.rstrip("/")
        self._seed = seed
        self._rate = rate
        self._faults = tuple(faults)
        self._script = None if script is None else list(script)
        self._in_a_row = in_a_row
        self._stall_s = stall_s
        self._retry_after_s = retry_after_s
        self._only = only
        self._before_answer = before_answer
        self._after_answer = after_answer
        self._came: Counter[str] = Counter()
        self._seen: list[Seen] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wire-faults", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self.url = ""

    # What passed

    @property
    def seen(self) -> tuple[Seen, ...]:
        """All requests, in the order they were answered."""
        return tuple(self._seen)

    @property
    def delivered(self) -> Counter[str]:
        """How often the whole answer to each request (by digest) was passed on."""
        return Counter(seen.digest for seen in self._seen if seen.delivered)

    @property
    def delivered_usage(self) -> Usage:
        """Tokens of the answers that were passed on whole."""
        return _total(seen.usage for seen in self._seen if seen.delivered)

    @property
    def forwarded_usage(self) -> Usage:
        """Tokens of all answers the upstream server gave, spoiled ones included."""
        return _total(seen.usage for seen in self._seen)

    @property
    def told_usage(self) -> Usage:
        """Tokens a client was told of, in whole answers and in spoiled ones."""
        return _total(seen.told for seen in self._seen)

    @property
    def faults(self) -> Counter[WireFault]:
        """How often each fault was injected."""
        return Counter(seen.fault for seen in self._seen if seen.fault is not None)

    # Life

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the fault proxy did not start within 10 s")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with httpx2.AsyncClient(timeout=120, trust_env=False) as self._client:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._ready.set()
            await self._stop.wait()
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    # One connection, one request

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            request = await _read(reader)
            await asyncio.sleep(0.005)
            if reader.at_eof():
                return  # whoever asked is gone
            await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        digest = hashlib.sha256(request.path.encode() + b"\0" + request.body).hexdigest()
        spoilable = request.method == "POST" and self._only in request.body
        fault = self._choose(digest) if spoilable else None
        if fault is not None and fault not in FORWARDING:
            self._note(request, digest, fault, False, Usage(), Usage())
            await self._refuse(fault, writer)
            return
        answer = await self._client.request(
            request.method,
            self._upstream + request.path,
            headers=request.headers,
            content=request.body,
        )
        spoiled = fault is not None and answer.status_code == 200
        half = _half(answer.content) if spoiled else answer.content
        self._note(request, digest, fault, True, usage_told(answer.content), usage_told(half))
        number = sum(seen.forwarded for seen in self._seen)
        self._before_answer(number)
        passed = {
            name: value
            for name, value in answer.headers.items()
            if name not in ("content-length", "transfer-encoding", "connection", "content-encoding")
        }
        if fault is None or not spoiled:
            await _send(writer, answer.status_code, passed, answer.content)
            self._after_answer(number)
            return
        tail = {WireFault.ERROR_EVENT: _ERROR_EVENT, WireFault.GARBAGE: _GARBAGE_EVENT}
        whole = len(answer.content) if fault is WireFault.CUT else None
        await _send(writer, 200, passed, half + tail.get(fault, b""), claimed_length=whole)

    async def _refuse(self, fault: WireFault, writer: asyncio.StreamWriter) -> None:
        if fault is WireFault.STALL:
            await asyncio.sleep(self._stall_s)
            return
        if fault is WireFault.DROPPED:
            return
        status, kind = _STATUS[fault]
        headers = {"content-type": "application/json"}
        if fault is WireFault.RATE_LIMITED:
            headers["retry-after"] = f"{self._retry_after_s:g}"
        error = {"type": "error", "error": {"type": kind, "message": "injected"}}
        await _send(writer, status, headers, json.dumps(error).encode())

    def _choose(self, digest: str) -> WireFault | None:
        if self._script is not None:
            return self._script.pop(0) if self._script else None
        came = self._came[digest]
        self._came[digest] += 1
        chance = random.Random(f"{self._seed}/{digest}/{came}")
        if came >= self._in_a_row or chance.random() >= self._rate:
            return None
        return chance.choice(self._faults)

    def _note(
        self,
        request: _Request,
        digest: str,
        fault: WireFault | None,
        forwarded: bool,
        usage: Usage,
        told: Usage,
    ) -> None:
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            body = {}
        self._seen.append(Seen(request.path, digest, fault, forwarded, usage, told, body))


def usage_told(content: bytes) -> Usage:
    """Return the tokens an answer of the Messages API tells, streamed or not."""
    told: dict[str, int] = {}
    for line in [content, *content.split(b"\n")]:
        try:
            event = json.loads(line.removeprefix(b"data: "))
        except ValueError:
            continue
        if not isinstance(event, dict):
            continue
        for holder in (event, event.get("message") or {}):
            told |= {k: v for k, v in (holder.get("usage") or {}).items() if isinstance(v, int)}
    return Usage(
        input_tokens=told.get("input_tokens", 0),
        output_tokens=told.get("output_tokens", 0),
        cache_read_tokens=told.get("cache_read_input_tokens", 0),
        cache_write_tokens=told.get("cache_creation_input_tokens", 0),
    )


def _total(usages: Iterable[Usage]) -> Usage:
    total = Usage()
    for usage in usages:
        total = total + usage
    return total


def _half(content: bytes) -> bytes:
    """Return the first events of a stream, up to about the middle, or half of a body."""
    events = content.split(b"\n\n")
    if len(events) < 3:
        return content[: len(content) // 2]
    # The reason for stopping is in the last but one event: never let that through.
    kept = min((len(events) + 1) // 2, len(events) - 3)
    return b"".join(event + b"\n\n" for event in events[:kept])


async def _read(reader: asyncio.StreamReader) -> _Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {}
    for line in head[1:]:
        name, found, value = line.partition(":")
        if found:
            headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    for name in ("host", "content-length", "connection", "accept-encoding"):
        headers.pop(name, None)
    return _Request(method, path, headers, body)


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    headers: dict[str, str],
    body: bytes,
    *,
    claimed_length: int | None = None,
) -> None:
    length = len(body) if claimed_length is None else claimed_length
    lines = [f"HTTP/1.1 {status} Injected", *(f"{k}: {v}" for k, v in headers.items())]
    lines += [f"content-length: {length}", "connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + body)
    await writer.drain()
