"""The viewer as a web application: one page, its parts, and JSON documents behind a login.

The page itself holds nothing of the home and is open, as Prefect's is; every document needs
the home's login in the `Authorization` header, so no other page, and no agent that reaches
the port from its sandbox, reads a thing. All that is ever written are orders to runs.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from grindstone.errors import GrindstoneError, InputError
from grindstone.view.downloads import run_download
from grindstone.view.posting import MOST_BYTES, foreign, take_order
from grindstone.view.site import Site
from grindstone.view.tail import watch

Answer = Callable[[Request], Awaitable[Response]]

ASSETS = Path(__file__).parent / "assets"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page may do: its own scripts and styles, its own documents, and nothing else."""

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


MOST_CHARS = 1_000
"""Of an address, and of each answer in a question."""


class _Assets(StaticFiles):
    """Files under the page's policy."""

    def file_response(self, *arguments: object, **options: object) -> Response:
        found: Response = super().file_response(*arguments, **options)  # type: ignore[arg-type]
        found.headers.update(HEADERS)
        return found


def viewer_app(site: Site, expected: str, *, by: str = "viewer") -> Starlette:
    """Return the application; it works below any path, for all its addresses are relative.

    Args:
        site: What is shown.
        expected: The `Authorization` header of those who may read, and give orders.
        by: Whom an order is said to come from.
    """

    def guarded(answer: Answer, wrong: HTTPStatus = HTTPStatus.NOT_FOUND) -> Answer:
        """Let those alone ask who have the login; what is wrong with a question is a problem."""

        async def asked(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), expected.encode()):
                # No WWW-Authenticate: the page asks for the login itself.
                return _problem(HTTPStatus.UNAUTHORIZED, "the home's login is needed")
            try:
                _check_words(*request.path_params.values(), *request.query_params.values())
                return await answer(request)
            except InputError as error:
                return _problem(wrong, str(error))
            except GrindstoneError as error:
                return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

        return asked

    async def document(request: Request) -> Response:
        address, query = request.path_params["address"], dict(request.query_params)
        found = await asyncio.to_thread(site.document, address, query)
        return Response(found, media_type="application/json", headers=HEADERS)

    async def order(request: Request) -> Response:
        if why := foreign(request.headers):
            return _problem(HTTPStatus.FORBIDDEN, why)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "an order is short")
        key = request.path_params["run_key"]
        given = await asyncio.to_thread(take_order, site.ledger, key, body, by)
        return Response(given.model_dump_json(), media_type="application/json", headers=HEADERS)

    async def download(request: Request) -> Response:
        names = request.path_params["run_key"], request.path_params["form"]
        found = await asyncio.to_thread(run_download, site.ledger, *names)
        named = f"attachment; filename*=UTF-8''{quote(found.name)}"
        headers = HEADERS | {"Content-Disposition": named}
        return Response(found.content, media_type="application/octet-stream", headers=headers)

    async def events(_: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            async for keys in watch(site.home):
                yield f"event: changed\ndata: {json.dumps(keys)}\n\n"

        headers = HEADERS | {"X-Accel-Buffering": "no"}
        return StreamingResponse(lines(), media_type="text/event-stream", headers=headers)

    return Starlette(
        routes=[
            Route("/api/events", guarded(events)),
            Route(
                "/api/run/{run_key}/orders", guarded(order, HTTPStatus.CONFLICT), methods=["POST"]
            ),
            Route("/api/run/{run_key}/download/{form}", guarded(download)),
            Route("/api/{address:path}", guarded(document)),
            Mount("/", _Assets(directory=ASSETS, html=True)),
        ]
    )


def _check_words(*words: str) -> None:
    """Refuse what can be no name and no text to look for."""
    for word in words:
        if len(word) > MOST_CHARS:
            raise InputError(f"{word[:40]}…", "is too long", f"{MOST_CHARS} characters at most")
        if "\0" in word:
            raise InputError(repr(word), "holds a NUL", "a name or a text")


def _problem(status: HTTPStatus, text: str) -> Response:
    return JSONResponse({"problem": text}, status_code=status, headers=HEADERS)
