"""The HTTP face: Messages, OpenAI's two APIs, token counting and models, as an application."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from grindstone.asgi import bound, serving
from grindstone.proxy.chat import ChatApi
from grindstone.proxy.responses import ResponsesApi
from grindstone.rehearsal import openai, tokens
from grindstone.rehearsal.parts import answer
from grindstone.rehearsal.reply import Reply, compose, events
from grindstone.rehearsal.wire import MODEL, BadRequestError, digest, parse

HEADER = "x-grindstone-rehearsal"
_ERROR_TYPES = {400: "invalid_request_error", 404: "not_found_error", 405: "invalid_request_error"}


def _headers(request_id: str) -> dict[str, str]:
    return {HEADER: "true", "request-id": request_id}


def _error(status: int, message: str, request_id: str) -> Response:
    kind = _ERROR_TYPES.get(status, "api_error")
    body = {
        "type": "error",
        "error": {"type": kind, "message": message},
        "request_id": request_id,
    }
    return JSONResponse(body, status, headers=_headers(request_id))


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise BadRequestError(f"The request body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("The request body must be a JSON object")
    return body


async def _messages(request: Request) -> Response:
    body = await _body(request)
    asked = parse(body)
    request_id = f"req_rehearsal_{digest(body)}"
    reply = compose(asked, answer(asked), tokens.of_request(body), digest(body))
    if asked.stream:
        return StreamingResponse(
            _sse(reply), media_type="text/event-stream", headers=_headers(request_id)
        )
    return JSONResponse(reply.message(), headers=_headers(request_id))


async def _sse(reply: Reply) -> AsyncIterator[bytes]:
    for event in events(reply):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _as_openai(
    translated: Callable[[dict[str, Any]], dict[str, Any]],
    worded: Callable[[dict[str, Any]], dict[str, Any]],
    streamed: Callable[[dict[str, Any], dict[str, Any]], Iterator[bytes]],
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint of one of OpenAI's APIs, which asks and answers as the Messages one."""

    async def endpoint(request: Request) -> Response:
        given = await _body(request)
        body = translated(given)
        asked = parse(body)
        reply = compose(asked, answer(asked), tokens.of_request(body), digest(body))
        told, headers = worded(reply.message()), _headers(f"req_rehearsal_{digest(body)}")
        if asked.stream:
            return StreamingResponse(
                streamed(told, given), media_type="text/event-stream", headers=headers
            )
        return JSONResponse(told, headers=headers)

    return endpoint


_chat = _as_openai(openai.of_chat, openai.completion, ChatApi().events)
_responses = _as_openai(openai.of_responses, openai.response, ResponsesApi().events)


async def _count_tokens(request: Request) -> Response:
    body = await _body(request)
    parse(body, counting=True)
    headers = _headers(f"req_rehearsal_{digest(body)}")
    return JSONResponse({"input_tokens": tokens.of_request(body).total}, headers=headers)


_MODEL = {
    "type": "model",
    "id": MODEL,
    "display_name": "Grindstone rehearsal (offline, no language model)",
    "created_at": "2026-01-01T00:00:00Z",
}


async def _models(request: Request) -> Response:
    body = {"data": [_MODEL], "has_more": False, "first_id": MODEL, "last_id": MODEL}
    return JSONResponse(body, headers=_headers("req_rehearsal_models"))


async def _model(request: Request) -> Response:
    name = request.path_params["name"]
    if name != MODEL:
        return _error(404, f"model: {name}", "req_rehearsal_models")
    return JSONResponse(_MODEL, headers=_headers("req_rehearsal_models"))


async def _health(request: Request) -> Response:
    return JSONResponse({"rehearsal": True}, headers=_headers("req_rehearsal_health"))


async def _on_bad_request(request: Request, error: Exception) -> Response:
    return _error(400, str(error), f"req_rehearsal_{digest(str(error))}")


async def _on_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _error(status, f"{request.method} {request.url.path}", f"req_rehearsal_{status}")


def app() -> Starlette:
    """Return the ASGI application."""
    return Starlette(
        routes=[
            Route("/v1/messages", _messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", _count_tokens, methods=["POST"]),
            Route("/v1/chat/completions", _chat, methods=["POST"]),
            Route("/v1/responses", _responses, methods=["POST"]),
            Route("/v1/models", _models),
            Route("/v1/models/{name}", _model),
            Route("/", _health, methods=["GET", "HEAD"]),
        ],
        exception_handlers={BadRequestError: _on_bad_request, HTTPException: _on_http},
    )


def _config(host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app(), host=host, port=port, log_level="warning", access_log=False, lifespan="off"
    )


@contextlib.asynccontextmanager
async def serve(port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve on the running loop; yield the base URL once requests are answered.

    Args:
        port: 0 takes a free one.
        host: The address to listen on.

    Raises:
        OSError: The address is taken.
    """
    sock = bound(host, port)
    async with serving(app(), sock):
        yield f"http://{host}:{sock.getsockname()[1]}"


def run(host: str = "127.0.0.1", port: int = 8788) -> None:
    """Serve until interrupted."""
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has ended
        uvicorn.Server(_config(host, port)).run()
