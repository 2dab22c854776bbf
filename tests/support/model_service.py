"""A small service that speaks the routes of all three providers, streamed, with real bytes."""

import asyncio
import base64
import contextlib
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from grindstone.llm import Timeouts
from grindstone.llm.messages import CallSite, Message, Request, Text
from grindstone.records import Role

USAGE = {
    "input_tokens": 1000,
    "output_tokens": 1,
    "cache_read_input_tokens": 200,
    "cache_creation_input_tokens": 100,
}
MODEL = "claude-sonnet-5-5"


def events_of(content: list[dict[str, Any]], stop: str, output_tokens: int) -> list[dict[str, Any]]:
    """The events of a streamed answer, text and tool input in two pieces each."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "the-model",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": USAGE,
    }
    found: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(content):
        start, deltas = block, []
        if block["type"] == "text":
            start = {"type": "text", "text": ""}
            middle = len(block["text"]) // 2
            deltas = [
                {"type": "text_delta", "text": part}
                for part in (block["text"][:middle], block["text"][middle:])
            ]
        elif block["type"] == "tool_use":
            start = block | {"input": {}}
            text = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
            deltas = [
                {"type": "input_json_delta", "partial_json": part} for part in (text[:3], text[3:])
            ]
        elif block["type"] == "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        found.append({"type": "content_block_start", "index": index, "content_block": start})
        found += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        found.append({"type": "content_block_stop", "index": index})
        found.append({"type": "ping"})
    delta = {"stop_reason": stop, "stop_sequence": None}
    found.append(
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}
    )
    return [*found, {"type": "message_stop"}]


def says(*commands: str) -> Any:
    """A service that has one command after another run, and then is done."""

    def reply(body: dict[str, Any]) -> Response:
        turn = len(body["messages"]) // 2
        if turn < len(commands):
            use = {"type": "tool_use", "id": f"t{turn}", "name": "bash"}
            content: list[dict[str, Any]] = [use | {"input": {"command": commands[turn]}}]
        else:
            content = [{"type": "text", "text": "Done."}]
        return stream_of(content)

    return reply


def stream_of(content: list[dict[str, Any]]) -> Response:
    stop = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
    events = events_of(content, stop, 100)
    lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return StreamingResponse(lines, media_type="text/event-stream")


def frame(event: dict[str, Any]) -> bytes:
    """One event as Bedrock sends it (AWS event stream encoding)."""
    payload = json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()
    headers = b""
    for name, value in {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }.items():
        headers += bytes([len(name)]) + name.encode() + b"\x07"
        headers += struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


class Service:
    """What arrived, and what is answered next."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.content: list[dict[str, Any]] = [{"type": "text", "text": "hello"}]
        self.stop = "end_turn"
        self.output_tokens = 100
        self.reply: Callable[[dict[str, Any]], Response] | None = None
        self.in_flight = 0
        self.delay_s = 0.0

    async def answer(self, request: HttpRequest) -> Response:
        if request.url.path == "/token":
            return JSONResponse({"access_token": "at", "expires_in": 3600, "token_type": "Bearer"})
        body = await request.json()
        self.paths.append(request.scope["raw_path"].decode())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.reply is not None:
            return self.reply(body)
        events = events_of(self.content, self.stop, self.output_tokens)
        if request.url.path.endswith("/invoke-with-response-stream"):
            stream = (frame(event) for event in events)
            return StreamingResponse(stream, media_type="application/vnd.amazon.eventstream")
        assert body["stream"] is True
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return StreamingResponse(lines, media_type="text/event-stream")


class UnsignalledServer(uvicorn.Server):
    """One that leaves signals to whoever runs it in a thread or task."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    """Serve on the running loop."""
    service = Service()
    app = Starlette(routes=[Route("/{path:path}", service.answer, methods=["POST"])])
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = UnsignalledServer(uvicorn.Config(app, log_level="error", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:
            await asyncio.sleep(0.005)
        service.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        yield service
        server.should_exit = server.force_exit = True
        await task


QUICK = Timeouts(stall_s=5, pause_s=0, retry_after_cap_s=0)


def request(text: str = "question", **changes: Any) -> Request:
    message = Message(role="user", content=(Text(text=text),))
    return Request(**({"system": "Be brief.", "messages": (message,)} | changes))


def site(turn: int = 0, scope: str = "episode-1", role: Role = Role.SOLVER) -> CallSite:
    return CallSite(role=role, scope=scope, turn=turn, task_id="task-1")
