"""A scripted Messages service over HTTP, and real sandboxes to solve in."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from agents_script import Service, events

from grindstone.digest import digest_tree
from grindstone.llm import open_models
from grindstone.llm.messages import Model
from grindstone.sandbox import BuildSpec, Sandbox, StartSpec, open_provider


@pytest.fixture
def service() -> Iterator[Service]:
    played = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            request = json.loads(self.rfile.read(length))
            blocks, stop = played.answer(request)
            tokens = played.input_tokens or len(json.dumps(request["messages"])) // 4
            body = "".join(
                f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                for event in events(blocks, stop, tokens)
            ).encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    played.url = f"http://127.0.0.1:{server.server_port}"
    yield played
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def model(service: Service, tmp_path: Path) -> AsyncIterator[Model]:
    environ = {
        "ANTHROPIC_API_KEY": "not-a-key",
        "ANTHROPIC_BASE_URL": service.url,
    }
    async with open_models(
        run_key="agents", journal_dir=tmp_path / "journal", environ=environ
    ) as models:
        yield models.get("claude-scripted-1")


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _started(kind: Any, dockerfile: str, folder: Path) -> AsyncIterator[Sandbox]:
    folder.mkdir()
    (folder / "Dockerfile").write_text(dockerfile)
    provider = await open_provider(kind)
    try:
        image = await provider.build(
            BuildSpec(context_dir=folder, context_digest=digest_tree(folder))
        )
        sandbox = await provider.start(StartSpec(image=image, name="agents-test"))
        try:
            yield sandbox
        finally:
            await sandbox.close()
    finally:
        await provider.close()


@pytest.fixture
async def sandbox(kind: str, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox with bash, python and tmux."""
    async for started in _started(
        kind, "FROM debian:bookworm-slim\nWORKDIR /app\n", tmp_path / "context"
    ):
        yield started


@pytest.fixture
async def bare_sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A sandbox without tmux and tar."""
    async for started in _started(
        "docker",
        "FROM debian:bookworm-slim\nWORKDIR /app\nRUN rm -f /usr/bin/tmux /bin/tar /usr/bin/tar\n",
        tmp_path / "bare",
    ):
        yield started
