"""What a program or its model's service sends that is too large, too deep, too slow or nonsense."""

import asyncio
import json
import time
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from support.model_proxy import Enter, asked, head, raw
from support.model_service import Service

pytestmark = [pytest.mark.slow, pytest.mark.catalogue(of="attacks on the proxy")]


async def test_a_huge_body_is_refused_before_it_is_held(service: Service, enter: Enter):
    async with enter() as inside:
        url, token = str(inside.client.base_url), inside.session.token
        big = head("/v1/messages", token, f"content-length: {1 << 40}")
        told = await raw(url, big, b"x" * 65_536)
        assert b" 413 " in told.split(b"\r\n")[0]
        assert (await inside.ask(asked("x"))).status_code == 200


@pytest.mark.parametrize("depth", [100_000])
async def test_a_deep_body_is_no_request(service: Service, enter: Enter, depth: int):
    async with enter() as inside:
        headers = {"x-api-key": inside.session.token}
        for deep in (
            "[" * depth,
            '{"a":' * depth,
            '{"model":"the-model","messages":' + "[" * depth,
        ):
            told = await inside.client.post("/v1/messages", content=deep, headers=headers)
            assert told.status_code == 400
        deep = json.dumps(asked("x"))[:-1] + ', "tools": [{"x": ' + "[" * 900 + "]" * 900 + "}]}"
        told = await inside.client.post("/v1/messages", content=deep, headers=headers)
        assert told.status_code in (200, 400)
        assert (await inside.ask(asked("y"))).status_code == 200
    assert inside.session.failure is None


NONSENSE: list[dict[str, Any]] = [
    {"messages": [{"role": {}, "content": 7}]},
    {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": {"a": 1}}]}]},
    {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": "x"}]}]},
    {"messages": [], "system": {"a": 1}},
    {"messages": [], "system": [1]},
    {"messages": [], "tools": {"a": 1}},
    {"messages": [], "tools": [{"name": {"a": 1}}]},
    {"messages": [{"role": "user", "content": "\ud800"}]},
    {"messages": [{"role": "user", "content": "x"}], "max_tokens": -1},
    {"messages": [{"role": "user", "content": "x"}], "max_tokens": True},
    {"messages": [{"role": "user", "content": "x"}], "max_tokens": 10**400},
    {"messages": [{"role": "user", "content": "x"}], "output_config": {"a": [None]}},
    {"messages": [{"role": "user", "content": "x"}], "stream": "yes"},
    {"input": [{"type": {}, "content": 7}]},
    {"input": [{"type": "reasoning", "summary": 7}]},
    {"input": 7},
    {"input": "x", "tools": [{"type": 7}]},
    {"messages": [{"role": "assistant", "tool_calls": 7}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"function": 7}]}]},
    {"messages": [{"role": "user", "content": "x"}], "tools": [{"function": 7}]},
    {"messages": [{"role": "user", "content": "x"}], "stream_options": 7},
]


@pytest.mark.catalogue
@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: json.dumps(body)[:60])
async def test_nonsense_is_told_as_such_and_ends_nothing(
    service: Service, enter: Enter, body: dict[str, Any]
):
    too_odd = {"error": {"type": "invalid_request_error", "message": "no"}}
    service.reply = lambda _: JSONResponse(too_odd, 400)
    content = json.dumps(body | {"model": "the-model"})
    for kind, path in (
        ("messages", "/v1/messages"),
        ("messages", "/v1/messages/count_tokens"),
        ("openai", "/v1/chat/completions"),
        ("openai", "/v1/responses"),
    ):
        async with enter(kind=kind) as inside:
            headers = {"x-api-key": inside.session.token, "content-type": "application/json"}
            told = await inside.client.post(path, content=content, headers=headers)
            assert told.status_code < 500, (path, told.text)
            assert inside.session.failure is None, path


async def test_who_sends_slowly_keeps_nobody_waiting(service: Service, enter: Enter):
    body = json.dumps(asked("slow")).encode()
    async with enter() as inside:
        url, token = str(inside.client.base_url), inside.session.token
        length = f"content-length: {len(body)}"
        slow = [
            asyncio.create_task(raw(url, head("/v1/messages", token, length), body[:9], wait_s=3))
            for _ in range(300)
        ]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert (await inside.ask(asked("x"))).status_code == 200
        assert time.monotonic() - began < 5
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        began = time.monotonic()
    assert time.monotonic() - began < 5, "an attempt's end waits for none of them"


SPOILED = [
    b"data: [1, 2]\n\n",
    b"data: {\xff}\n\n",
    b"data: null\n\n",
    b'data: {"type": 7}\n\n',
    b'data: {"type": "content_block_delta", "index": 9, "delta": {}}\n\n',
    b"data: " + b"[" * 100_000 + b"\n\n",
    b"\0" * 4096,
    b"",
]


@pytest.mark.parametrize("stream", SPOILED, ids=lambda each: repr(each[:40]))
async def test_a_spoiled_stream_is_tried_again_and_then_an_error(
    service: Service, enter: Enter, stream: bytes
):
    service.reply = lambda _: Response(stream, media_type="text/event-stream")
    for kind, path in (("messages", "/v1/messages"), ("openai", "/v1/responses")):
        async with enter(kind, kind=kind) as inside:
            body = {"model": "the-model", "max_tokens": 9, "input": "x", **asked("x")}
            headers = {"x-api-key": inside.session.token}
            told = await inside.client.post(path, json=body, headers=headers)
        assert told.status_code == 500
        assert inside.session.failure is not None
    assert len(service.bodies) > 2
