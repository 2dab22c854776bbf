"""A proxy before the rehearsal server: remembers every request, answers some in its place."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.model_service import events_of

from grindstone.rehearsal import serve

Body = dict[str, Any]
Answering = Callable[[Body], Response | None]


def role_of(body: Body) -> str:
    """The role a request's system prompt begins with."""
    system = body.get("system") or ""
    text = system if isinstance(system, str) else "".join(part["text"] for part in system)
    found = re.match(r"Role: (\w+)", text)
    return found[1] if found else ""


def spoken(content: list[Body], stop: str = "end_turn") -> Response:
    """A streamed answer of a model."""
    lines = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events_of(content, stop, 9))
    return Response("".join(lines), media_type="text/event-stream")


class Wiretap:
    """What passed by, and who answers instead."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[Body] = []
        self.instead: Answering = lambda body: None

    def of(self, role: str) -> list[str]:
        """The requests on behalf of a role, as text."""
        return [json.dumps(body) for body in self.bodies if role_of(body) == role]


@contextlib.asynccontextmanager
async def tapped() -> AsyncIterator[Wiretap]:
    """Serve on the running loop."""
    tap = Wiretap()
    async with serve() as upstream, httpx2.AsyncClient(timeout=30) as client:

        async def answer(request: Request) -> Response:
            body = await request.json()
            tap.bodies.append(body)
            own = tap.instead(body)
            if own is not None:
                return own
            there = await client.post(f"{upstream}{request.url.path}", json=body)
            kind = there.headers["content-type"]
            return Response(there.content, there.status_code, media_type=kind)

        app = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
        config = uvicorn.Config(app, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            running = asyncio.create_task(server.serve(sockets=[sock]))
            while not server.started:
                await asyncio.sleep(0.005)
            tap.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            yield tap
            server.should_exit = server.force_exit = True
            await running


@pytest.fixture
async def tap(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wiretap]:
    """Runs of the test talk to the rehearsal through a wiretap."""
    async with tapped() as found:
        monkeypatch.setenv("GRINDSTONE_REHEARSAL_URL", found.url)
        monkeypatch.setenv("GRINDSTONE_PATIENCE", '{"pause_s": 0, "stall_s": 5}')
        yield found
