"""The proxy's HTTP face inside one sandbox."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from grindstone.proxy.api import BadBody, Body, ProxiedApi
from grindstone.proxy.chat import ChatApi
from grindstone.proxy.forwarding import PassedRefusal, Received, answer
from grindstone.proxy.messages import MessagesApi
from grindstone.proxy.reach import kept_inside, reckoned_bytes, told_beside
from grindstone.proxy.responses import ResponsesApi
from grindstone.proxy.session import Session, SessionEnded

LARGEST_BODY = 32 << 20
"""Bytes of a request; services take no more."""

MOST_HELD = 4 * LARGEST_BODY
"""Bytes of a session's requests that are being read at a time."""

HEADERS_AFTER_S = 20.0
"""A stream begins by then, also where the answer is still being written: programs wait for the
first byte only so long."""

SIGN_OF_LIFE_S = 10.0
SIGN_OF_LIFE = b": the answer is being written\n\n"
"""A comment, which every reader of server-sent events passes over."""

SENT_BYTES = 64 << 10
"""Of events that are sent together."""

FINAL = {"x-should-retry": "false"}
"""Our own tries are the only ones; both makers' SDKs heed it."""

BYTES_PER_TOKEN = 4

_STATUS = {"billing_error": 402, "api_error": 500}
_ROUTES: dict[str, ProxiedApi] = {
    "/v1/messages": MessagesApi(),
    "/v1/chat/completions": ChatApi(),
    "/chat/completions": ChatApi(),
    "/v1/responses": ResponsesApi(),
    "/responses": ResponsesApi(),
}
_COUNTS: dict[str, tuple[ProxiedApi, str, Body]] = {
    "/v1/messages/count_tokens": (MessagesApi(), "count_tokens", {}),
    "/v1/responses/input_tokens": (
        ResponsesApi(),
        "input_tokens",
        {"object": "response.input_tokens"},
    ),
}
"""Where a prompt's tokens are counted: by which API, where below its address, and as what."""


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def app_of(session: Session, client: httpx2.AsyncClient) -> Starlette:
    """Return the application that answers inside one sandbox."""

    def at(api: ProxiedApi) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await _guarded(api, lambda: _answer(session, api, request, client))

        return endpoint

    def counting(api: ProxiedApi, path: str, shown: Body) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return await _guarded(api, lambda: _count(session, api, path, shown, request, client))

        return endpoint

    async def lost(request: Request, error: Exception) -> Response:
        ways = ", ".join([*_ROUTES, *_COUNTS, "/v1/models"])
        told = f"grindstone: {request.method} {request.url.path} leads nowhere; there are {ways}"
        body = MessagesApi().error("not_found_error", told)
        return JSONResponse(body, getattr(error, "status_code", 404), headers=FINAL)

    async def models(request: Request) -> Response:
        shown = {"id": session.model, "type": "model", "object": "model", "owned_by": "grindstone"}
        shown |= {"display_name": session.model, "created_at": "2026-01-01T00:00:00Z"}
        name = request.path_params.get("name")
        body = shown if name else {"object": "list", "data": [shown], "has_more": False}
        return JSONResponse(body)

    async def health(request: Request) -> Response:
        return JSONResponse({"model": session.model})

    return Starlette(
        routes=[
            *(Route(path, at(api), methods=["POST"]) for path, api in _ROUTES.items()),
            *(Route(path, counting(*told), methods=["POST"]) for path, told in _COUNTS.items()),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", models),
            Route("/", health, methods=["GET", "HEAD"]),
        ],
        exception_handlers={404: lost, 405: lost},
    )


async def _guarded(api: ProxiedApi, make: Callable[[], Awaitable[Response]]) -> Response:
    try:
        return await make()
    except _Refused as refused:
        body = api.error(refused.kind, str(refused))
        return JSONResponse(body, refused.status, headers=FINAL)
    except SessionEnded as ended:
        body = api.error(ended.kind, f"grindstone: {ended}")
        return JSONResponse(body, _STATUS[ended.kind], headers=FINAL)
    except BadBody as bad:
        return JSONResponse(api.error("invalid_request_error", str(bad)), 400, headers=FINAL)
    except PassedRefusal as refusal:
        return Response(refusal.body, refusal.status, FINAL, "application/json")


async def _asked(session: Session, request: Request, api: ProxiedApi) -> Body:
    """Return the request's body, once it is known who asks, and what for."""
    given = request.headers.get("x-api-key") or ""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not any(session.opens(token) for token in (given, bearer) if token):
        raise _Refused(401, "authentication_error", "this token opens no attempt here")
    if session.over.is_set():
        session.require_open()
    body = await _read(session, request)
    if body.get("model") != session.model:
        told = f"model: {body.get('model')} is not this attempt's, which is {session.model}"
        raise _Refused(404, "not_found_error", told)
    if api.api not in session.service.urls:
        spoken = ", ".join(sorted(session.service.urls))
        told = f"{session.model} is not reached by the {api.api.value} API, but by: {spoken}"
        raise _Refused(404, "not_found_error", told)
    return body


async def _read(session: Session, request: Request) -> Body:
    too_large = _Refused(413, "request_too_large", f"more than {LARGEST_BODY} bytes")
    packed = request.headers.get("content-encoding", "identity")
    if packed != "identity":
        told = f"content-encoding: {packed} is not taken, send the JSON as it is"
        raise _Refused(415, "invalid_request_error", told)
    told = request.headers.get("content-length", "0")
    if not told.isdecimal() or int(told[:20]) > LARGEST_BODY:
        raise too_large
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            session.reading += len(chunk)
            if len(raw) > LARGEST_BODY or session.reading > MOST_HELD:
                raise too_large
    finally:
        session.reading -= len(raw)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadBody("the body is no JSON object")
    return body


async def _answer(
    session: Session, api: ProxiedApi, request: Request, client: httpx2.AsyncClient
) -> Response:
    body = await _asked(session, request, api)
    over = asyncio.Event()
    # A program that hangs up has its answer written all the same: it may come back for it.
    asking = session.hold(
        answer(session, api, body, client=client, headers=request.headers, handed_over=over)
    )
    try:
        if not body.get("stream"):
            received = await asyncio.shield(asking)
            return _Whole(session, received, request, over)
        await asyncio.wait([asking], timeout=HEADERS_AFTER_S)
        if asking.done():
            asking.result()  # an error that comes now has a status of its own
    except BaseException:
        over.set()
        raise
    return _Stream(session, api, asking, over, body)


class _Whole(JSONResponse):
    """An answer in one piece."""

    def __init__(
        self, session: Session, received: Received, request: Request, over: asyncio.Event
    ) -> None:
        super().__init__(received.body)
        self._session = session
        self._received = received
        self._request = request
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            gone = await self._request.is_disconnected()
            await super().__call__(scope, receive, send)
            if not gone:
                self._session.received(self._received.settled)
        finally:
            self._over.set()


class _Stream(StreamingResponse):
    """An answer as events; it may be on its way yet."""

    def __init__(
        self,
        session: Session,
        api: ProxiedApi,
        asking: "asyncio.Task[Received]",
        over: asyncio.Event,
        asked: Body,
    ) -> None:
        self._session = session
        self._api = api
        self._asking = asking
        self._over = over
        self._asked = asked
        super().__init__(self._events(), media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._over.set()

    async def _events(self) -> AsyncIterator[bytes]:
        while not self._asking.done():
            yield SIGN_OF_LIFE
            await asyncio.wait([self._asking], timeout=SIGN_OF_LIFE_S)
        try:
            received = self._asking.result()
        except SessionEnded as ended:
            events = self._api.error_events(ended.kind, f"grindstone: {ended}")
        except PassedRefusal as refusal:
            text = refusal.body.decode(errors="replace")
            events = self._api.error_events("invalid_request_error", text)
        except BadBody as bad:
            events = self._api.error_events("invalid_request_error", str(bad))
        else:
            together = bytearray()  # each piece that is sent costs more than what is in it
            for event in self._api.events(received.body, self._asked):
                together += event
                if len(together) >= SENT_BYTES:
                    yield bytes(together)
                    together.clear()
            yield bytes(together)
            self._session.received(received.settled)
            return
        for event in events:
            yield event


async def _count(
    session: Session,
    api: ProxiedApi,
    path: str,
    shown: Body,
    request: Request,
    client: httpx2.AsyncClient,
) -> Response:
    """Return how long a prompt is: as the service counts it, else by its size; it costs nothing."""
    body = kept_inside(await _asked(session, request, api))
    headers = told_beside(request.headers)
    url = f"{session.service.urls[api.api]}/{path}"
    content = json.dumps(body).encode()
    counted = reckoned_bytes(body, len(content)) // BYTES_PER_TOKEN
    if session.may_count():
        with contextlib.suppress(httpx2.HTTPError, ValueError, TypeError, KeyError):
            headers["content-type"] = "application/json"
            told = await client.post(url, content=content, headers=headers)
            if told.status_code == 200:
                counted = int(told.json()["input_tokens"])
    return JSONResponse(shown | {"input_tokens": counted})
