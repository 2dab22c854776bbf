"""The rehearsal server with a recorder before it: what models were really asked."""

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import uvicorn
from support.wiretap import tap

__all__ = ["recorder", "tap"]


class Asked(NamedTuple):
    """One request's body, and on whose behalf it was made."""

    body: dict[str, Any]

    @property
    def role(self) -> str:
        system = self.body.get("system") or ""
        text = system if isinstance(system, str) else system[0]["text"]
        return text.splitlines()[0].removeprefix("Role: ").strip()

    @property
    def text(self) -> str:
        return json.dumps(self.body, ensure_ascii=False)


class Recorder:
    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: list[Asked] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith("/messages"):
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.asked.append(Asked(json.loads(body)))
        told = False

        async def again() -> Any:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    def of(self, role: str) -> list[Asked]:
        return [each for each in self.asked if each.role == role]


@pytest.fixture
async def recorder(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    """The offline model, every request kept; flows of the test talk to it over HTTP."""
    import asyncio
    import socket

    from grindstone.rehearsal import app

    recorder = Recorder(app())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(recorder, log_level="error", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        monkeypatch.setenv("GRINDSTONE_REHEARSAL_URL", url)
        yield recorder
        server.should_exit = True
        await serving
