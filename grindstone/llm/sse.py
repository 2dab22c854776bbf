"""Server-sent events off the wire, and an inquiry that is put over plain HTTP."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx2

from grindstone.errors import Cause, InfrastructureError
from grindstone.llm.asking import REHEARSAL_HEADER, StreamedAnswer
from grindstone.llm.faults import ServiceFault, error_in
from grindstone.llm.service import Service
from grindstone.llm.timeouts import Timeouts

LONGEST_LINE = 64 << 20
"""Bytes of one event; the last one of a Responses answer holds the whole answer again."""

_LONGEST_ERROR = 65_536
_SHOWN = 200
_DONE = b"[DONE]"


def http_client(service: Service, patience: Timeouts) -> httpx2.AsyncClient:
    """Return a client for a service; close it when done."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(patience.stall_s, connect=patience.connect_s),
        headers=dict(service.headers),
        trust_env=not service.direct,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
    )


class HttpInquiry:
    """A request in an API's own words, whose answer comes as server-sent events."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: str,
        body: Mapping[str, Any] | bytes,
        answer: Callable[[], StreamedAnswer],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare an inquiry.

        Args:
            client: Sends the credentials.
            url: Where to.
            body: The JSON, which asks for a stream.
            answer: Makes what adds up the events.
            headers: Beside the client's.
        """
        self._client = client
        self._url = url
        self._content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._answer = answer
        self._headers = {"content-type": "application/json", **(headers or {})}
        self.rehearsal = False

    def begin(self) -> StreamedAnswer:
        """Return an empty answer."""
        return self._answer()

    async def stream(self, answer: StreamedAnswer) -> None:
        """Ask once.

        Raises:
            ServiceFault: The service refused or failed.
            InfrastructureError: What it sent is no stream of events.
            httpx2.HTTPError: The connection.
        """
        asking = self._client.stream(
            "POST", self._url, content=self._content, headers=self._headers
        )
        async with asking as response:
            self.rehearsal = response.headers.get(REHEARSAL_HEADER) == "true"
            if response.status_code >= 400:
                raise await _fault_of(response)
            start, told = bytearray(), False
            async for event in events_in(_kept(response.aiter_bytes(), start)):
                told = True
                answer.add(event)
            if start and not told:
                kind = response.headers.get("content-type", "something")
                said = bytes(start[:_SHOWN]).decode(errors="replace")
                raise InfrastructureError(
                    Cause.MODEL_SERVER, f"it answered {kind} and no stream of events: {said!r}"
                )


async def _kept(chunks: AsyncIterator[bytes], start: bytearray) -> AsyncIterator[bytes]:
    """Pass on what comes, and keep how it begins."""
    async for chunk in chunks:
        if len(start) < _SHOWN:
            start += chunk[:_SHOWN]
        yield chunk


async def events_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON object that each event carries.

    Raises:
        InfrastructureError: MODEL_SERVER, a line is too long or no JSON object.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if (event := _event(line)) is not None:
                yield event
        if len(rest) > LONGEST_LINE:
            raise InfrastructureError(Cause.MODEL_SERVER, "an event of the stream is too long")
    if (event := _event(rest)) is not None:
        yield event


def _event(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"data:"):
        return None
    data = line[5:].strip()
    if not data or data == _DONE:
        return None
    try:
        event = json.loads(data)
    except RecursionError as error:
        raise InfrastructureError(Cause.MODEL_SERVER, "an event is nested too deep") from error
    if b"\\ud" in data.lower():  # half of a character, which no file takes
        event = json.loads(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace"))
    if not isinstance(event, dict):
        raise InfrastructureError(Cause.MODEL_SERVER, "an event of the stream is no JSON object")
    return event


async def _fault_of(response: httpx2.Response) -> ServiceFault:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _LONGEST_ERROR:
            break
    kind, message = "", body[:500].decode(errors="replace")
    with contextlib.suppress(ValueError):
        kind, message = error_in(json.loads(body))
    return ServiceFault(response.status_code, kind, message, response.headers, body)
