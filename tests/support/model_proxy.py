"""A service on HTTP, a run's journal, and a door: a plain socket stands for a sandbox's."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest
from support.model_service import QUICK, Service, serving

from grindstone.llm import Journal, open_models
from grindstone.proxy import CallLimits, Session, open_session

NO_LIMITS = CallLimits()
KEY = "sk-the-provider's-own-key"


class Inside(NamedTuple):
    """What a program inside has."""

    session: Session
    client: httpx2.AsyncClient

    async def ask(self, body: dict[str, Any], **headers: str) -> httpx2.Response:
        token = headers.pop("token", self.session.token)
        return await self.client.post(
            "/v1/messages", json=body, headers={"x-api-key": token, **headers}
        )


def asked(*turns: Any, **changes: Any) -> dict[str, Any]:
    """A Messages request; plain text turns alternate, the user's first."""
    messages = [
        turn if isinstance(turn, dict) else {"role": ("user", "assistant")[i % 2], "content": turn}
        for i, turn in enumerate(turns)
    ]
    return {"model": "the-model", "max_tokens": 100, "messages": messages} | changes


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as served:
        yield served


Enter = Callable[..., AbstractAsyncContextManager[Inside]]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def enter(service: Service, journal: Journal) -> Enter:
    """Open a session of a run; each call is a process of its own to the run."""

    @contextlib.asynccontextmanager
    async def begin(
        scope: str = "episode-1",
        limits: CallLimits = NO_LIMITS,
        name: str = "the-model",
        kind: str = "messages",
        **run: Any,
    ) -> AsyncIterator[Inside]:
        environ = {"ANTHROPIC_API_KEY": KEY, "OPENAI_API_KEY": KEY}
        async with open_models(
            run_key="run", journal_dir=journal.folder, environ=environ, patience=QUICK, **run
        ) as models:
            door = socket.socket()
            door.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{door.getsockname()[1]}"
            model = models.get(f"{kind}:{name}@{service.url}")
            async with (
                open_session(model, door, scope=scope, task_id="task", limits=limits) as session,
                httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30) as client,
            ):
                yield Inside(session, client)

    return begin


def events_in(text: str) -> list[dict[str, Any]]:
    """The events of a stream's text."""
    lines = (line[5:].strip() for line in text.splitlines() if line.startswith("data:"))
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def raw(url: str, *parts: bytes, pause_s: float = 0.0, wait_s: float = 10.0) -> bytes:
    """Send bytes as they are, and return what comes until the connection is closed."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reader.read(), wait_s)
    except (TimeoutError, ConnectionError):
        return b""
    finally:
        writer.close()


def head(path: str, token: str, *more: str, method: str = "POST") -> bytes:
    """The head of a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"x-api-key: {token}", *more, "", ""]
    return "\r\n".join(lines).encode()
