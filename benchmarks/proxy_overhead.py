"""What the recording proxy adds: to a call, an attempt, 64 streams at once, and in memory.

    python benchmarks/proxy_overhead.py

A local service answers at once; a plain socket stands for a sandbox's door. The same client asks
it directly and through the proxy (journal with fsync included), in turns. An attempt is a program
in a process of its own that asks ten times and runs a command after each answer; its service takes
as long to an answer as a quick model, and none at all.
"""

import asyncio
import contextlib
import json
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from grindstone.asgi import bound, serving
from grindstone.llm import open_models
from grindstone.proxy import CallLimits, open_session

CALLS, STREAMS, LONG_TOKENS, ATTEMPTS = 100, 64, 200_000, 7
ANSWERS_AFTER_S = (0.3, 0.0)
AGENT = """
import json, subprocess, sys, urllib.request
url, key, number, wait = sys.argv[1:]
system = "You are an agent. " * 2_000
turns = [{"role": "user", "content": "attempt " + number}]
for step in range(10):
    body = {"model": "m", "max_tokens": 100, "stream": True, "system": system, "messages": turns}
    body["metadata"] = {"answer_after_s": float(wait)}
    headers = {"content-type": "application/json", "x-api-key": key}
    asked = urllib.request.Request(url + "/v1/messages", json.dumps(body).encode(), headers)
    urllib.request.urlopen(asked, timeout=60).read()
    ran = subprocess.run(["python3", "-c", "print(6 * 7)"], capture_output=True, text=True)
    turns.append({"role": "assistant", "content": f"word {step}"})
    turns.append({"role": "user", "content": ran.stdout})
"""
PROMPT = [{"type": "text", "text": "You are an agent. " * 2_000}]  # about 36 kB, as programs send


def stream(tokens: int) -> Iterator[str]:
    usage = {"input_tokens": 9_000, "output_tokens": 1}
    opening = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": opening | {"usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    delta = {"type": "content_block_delta", "index": 0}
    for event in events:
        yield f"data: {json.dumps(event)}\n\n"
    piece = json.dumps(delta | {"delta": {"type": "text_delta", "text": "word "}})
    for _ in range(tokens):
        yield f"data: {piece}\n\n"
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    for event in (
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": tokens}},
        {"type": "message_stop"},
    ):
        yield f"data: {json.dumps(event)}\n\n"


async def answer(request: Request) -> StreamingResponse:
    body = await request.json()
    await asyncio.sleep(body["metadata"]["answer_after_s"] if "metadata" in body else 0)

    async def events() -> AsyncIterator[str]:  # one that is not would take a thread's turn for each
        for event in stream(body["max_tokens"]):
            yield event

    return StreamingResponse(events(), media_type="text/event-stream")


async def attempt(url: str, token: str, number: int, wait: float) -> float:
    began = time.perf_counter()
    words = [sys.executable, "-c", AGENT, url, token, str(number), str(wait)]
    program = await asyncio.create_subprocess_exec(*words)
    assert await program.wait() == 0
    return time.perf_counter() - began


def door() -> tuple[socket.socket, str]:
    sock = bound()
    return sock, f"http://127.0.0.1:{sock.getsockname()[1]}"


async def ask(client: httpx2.AsyncClient, url: str, number: int, tokens: int) -> float:
    turn = {"role": "user", "content": f"question {number}"}
    body = {"model": "m", "max_tokens": tokens, "stream": True, "system": PROMPT}
    began = time.perf_counter()
    asking = client.stream("POST", f"{url}/v1/messages", json=body | {"messages": [turn]})
    async with asking as response:
        assert response.status_code == 200, await response.aread()
        async for _ in response.aiter_bytes():
            pass
    return time.perf_counter() - began


@contextlib.asynccontextmanager
async def proxied(upstream: str) -> AsyncIterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_models(run_key="bench", journal_dir=Path(folder), environ={}) as models:
            sock, url = door()
            model = models.get(f"messages:m@{upstream}")
            limits = CallLimits(max_calls=100_000)
            async with open_session(model, sock, scope="e", task_id="t", limits=limits) as session:
                yield url, session.token


async def main() -> None:
    sock, upstream = door()
    app = Starlette(routes=[Route("/v1/messages", answer, methods=["POST"])])
    async with serving(app, sock), proxied(upstream) as (url, token):
        headers = {"x-api-key": token}
        async with httpx2.AsyncClient(headers=headers, trust_env=False, timeout=300) as client:
            for warm in range(3):
                await ask(client, url, -1 - warm, 20)
            ways = {"direct": upstream, "proxy": url}
            took: dict[str, list[float]] = {name: [] for name in ways}
            worked = dict.fromkeys(ways, 0.0)
            for number in range(CALLS):
                for name, address in ways.items():
                    began = time.process_time()
                    took[name].append(await ask(client, address, number, 20))
                    worked[name] += time.process_time() - began
            median = {name: 1e3 * statistics.median(each) for name, each in took.items()}
            added = median["proxy"] - median["direct"]
            cpu = 1e3 * (worked["proxy"] - worked["direct"]) / CALLS
            print(
                f"one call, 36 kB prompt: {median['direct']:.1f} ms direct, +{added:.1f} ms "
                f"through the proxy, of which {cpu:.1f} ms are its work"
            )
            for name, address in ways.items():
                began = time.perf_counter()
                every = (ask(client, address, 10_000 + n, 200) for n in range(STREAMS))
                await asyncio.gather(*every)
                print(
                    f"{STREAMS} streams of 200 tokens, {name}: {time.perf_counter() - began:.2f} s"
                )
            for wait in ANSWERS_AFTER_S:
                await attempts(ways, token, wait)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            long = {name: await ask(client, at, 20_000, LONG_TOKENS) for name, at in ways.items()}
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            wire = sum(map(len, stream(LONG_TOKENS)))
            print(
                f"{LONG_TOKENS:,} tokens: {wire / 1e6:.0f} MB on the wire, {grown / 1e3:.0f} MB "
                f"more held at most, service and client included; {long['direct']:.1f} s direct, "
                f"{long['proxy']:.1f} s through the proxy"
            )


async def attempts(ways: dict[str, str], token: str, wait: float) -> None:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ATTEMPTS):
        for name, at in ways.items():
            took[name].append(await attempt(at, token, int(1_000 * wait) + number, wait))
    direct, proxy = (statistics.median(took[name]) for name in ("direct", "proxy"))
    print(
        f"an attempt of ten calls, each answered after {wait:.1f} s: {direct:.2f} s direct, "
        f"{proxy:.2f} s through the proxy, {100 * (proxy / direct - 1):+.1f}%"
    )


if __name__ == "__main__":
    asyncio.run(main())
