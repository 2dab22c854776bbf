"""A program inside that wants more than its attempt's model, tokens and money."""

import asyncio
import contextlib
import json
import time
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.responses import JSONResponse
from support.model_proxy import KEY, Enter, asked, head, raw
from support.model_service import Service

from grindstone.llm import Journal
from grindstone.llm.budget import Spending
from grindstone.proxy import CallLimits

pytestmark = [pytest.mark.slow, pytest.mark.catalogue(of="attacks on the proxy")]

PER_CALL = 1000 + 200 + 100 + 100
LONG = "word " * 800
"""About as long as the service says that a prompt is."""


# Other ways in


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/../v1/messages", "//v1/messages", "/v1/./messages", "/v1/messages/", "/V1/MESSAGES"),
        *("/v1/messages/../../admin", "/v1/messages/batches", "/v1/files", "/v1/organizations"),
        *("/v1/messages%2f..%2fadmin", "/v1%2Fmessages", "/v1/embeddings", "/v1/models/../files"),
        *("http://169.254.169.254/latest", "/v1/messages?beta=true&x=../admin", "/v1/messages;x"),
    ],
)
async def test_no_path_leads_anywhere_else(service: Service, enter: Enter, path: str):
    body = json.dumps(asked("x")).encode()
    async with enter() as inside:
        length = f"content-length: {len(body)}"
        url = str(inside.client.base_url)
        told = await raw(url, head(path, inside.session.token, length, "connection: close") + body)
    status = int(told.split(b" ", 2)[1])
    assert service.paths == (["/v1/messages"] if status == 200 else [])
    assert status == 200 or status >= 300


async def test_no_header_of_the_programs_reaches_the_service(service: Service, enter: Enter):
    sent = {
        "authorization": "Bearer its-own",
        "anthropic-version": "1999-01-01",
        "host": "elsewhere.example",
        "x-forwarded-host": "elsewhere.example",
        "cookie": "a=b",
        "anthropic-organization": "other",
        "openai-organization": "other",
        "anthropic-beta": "a-beta",
    }
    async with enter() as inside:
        await inside.ask(asked("x"), **sent)
    (heard,) = service.headers
    assert heard["x-api-key"] == KEY
    assert heard["anthropic-version"] == "2023-06-01"
    assert heard["anthropic-beta"] == "a-beta"
    assert urlsplit(service.url).netloc == heard["host"]
    assert not {"authorization", "cookie", "x-forwarded-host"} & heard.keys()
    assert not {"anthropic-organization", "openai-organization"} & heard.keys()


async def test_no_request_is_smuggled_behind_another(service: Service, enter: Enter):
    body = json.dumps(asked("one")).encode()
    behind = json.dumps(asked("two")).encode()
    async with enter() as inside:
        url, token = str(inside.client.base_url), inside.session.token
        hidden = head("/v1/messages", "stolen", f"content-length: {len(behind)}") + behind
        both = head(
            "/v1/messages", token, f"content-length: {len(body) + len(hidden)}",
            "transfer-encoding: chunked", "connection: close",
        )  # fmt: skip
        await raw(url, both + body + hidden)
        double = head("/v1/messages", token, "content-length: 5", f"content-length: {len(body)}")
        await raw(url, double + body)
        folded = head("/v1/messages", "stolen", f"x: y\r\n x-api-key: {token}", "content-length: 0")
        await raw(url, folded)
    assert service.bodies == []


# The token


@pytest.mark.parametrize("token", ["", "é" * 40, "\x7f", "a" * 60_000, "attempt-", "null"])
async def test_no_other_token_opens_it(service: Service, enter: Enter, token: str):
    async with enter() as inside:
        told = await inside.client.post(
            "/v1/messages", json=asked("x"), headers={b"x-api-key": token.encode("utf-8")}
        )
        assert 400 <= told.status_code < 500
        assert token not in told.text or len(token) < 10
    assert service.bodies == []


@pytest.mark.parametrize(
    "model", [None, 1, ["the-model"], {"the-model": 1}, "the-model ", "THE-MODEL", "the-model\0"]
)
async def test_no_other_model_is_asked(service: Service, enter: Enter, model: Any):
    async with enter() as inside:
        told = await inside.ask(asked("x", model=model))
    assert told.status_code == 404
    twice = json.dumps(asked("x", model="dear"))[:-1] + ', "model": "the-model"}'
    async with enter() as inside:  # the last one is what is asked for, whoever reads it
        headers = {"x-api-key": inside.session.token}
        await inside.client.post("/v1/messages", content=twice, headers=headers)
    assert {body["model"] for body in service.bodies} <= {"the-model"}


async def test_the_provider_is_given_no_other_way_to_spend(service: Service, enter: Enter):
    """What names other models, servers or tools of the provider's goes through no ceiling."""
    service.reply = lambda _: JSONResponse({"error": {"message": "no"}}, 400)
    async with enter(kind="openai") as inside:
        headers = {"x-api-key": inside.session.token}
        chat = {"model": "the-model", "messages": [{"role": "user", "content": "x"}]}
        for more in ({"models": ["dear"]}, {"route": "fallback"}, {"provider": {"order": ["x"]}}):
            await inside.client.post("/v1/chat/completions", json=chat | more, headers=headers)
        responses = {"model": "the-model", "input": "x", "background": True}
        await inside.client.post("/v1/responses", json=responses, headers=headers)
        search = [{"type": "web_search"}, {"type": "function", "name": "bash"}]
        await inside.client.post(
            "/v1/responses", json=responses | {"input": "y", "tools": search}, headers=headers
        )
        there = {"type": "input_image", "image_url": "https://elsewhere.example/?what=I+found"}
        turn = {"role": "user", "content": [there]}
        fetched = await inside.client.post(
            "/v1/responses", json=responses | {"input": [turn]}, headers=headers
        )
    assert fetched.status_code == 400
    assert len(service.bodies) == 5
    for body in service.bodies:
        assert not {"models", "route", "provider", "background"} & body.keys()
    assert service.bodies[-1]["tools"] == search[1:]


async def test_nothing_is_asked_at_another_price_than_is_booked(service: Service, enter: Enter):
    """What is kept an hour costs more to keep, and so does what needs a larger window."""
    dear = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    turn = {"role": "user", "content": [{"type": "text", "text": "x", **dear}]}
    tool = {"name": "t", "input_schema": {"type": "object"}, **dear}
    body = asked("x") | {"messages": [turn], "tools": [tool], **dear}
    body["system"] = [{"type": "text", "text": "y", **dear}]
    betas = "a-beta, context-1m-2025-08-07,fast-mode-2026-02-01, b-beta"
    async with enter() as inside:
        await inside.ask(body, **{"anthropic-beta": betas})
    (sent,), (heard,) = service.bodies, service.headers
    assert "ttl" not in json.dumps(sent)
    assert sent["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert heard["anthropic-beta"] == "a-beta,b-beta"


async def test_nothing_that_the_service_keeps_or_runs_is_reached(service: Service, enter: Enter):
    service.reply = lambda _: JSONResponse({"error": {"message": "no"}}, 400)
    async with enter(kind="openai") as inside:
        headers = {"x-api-key": inside.session.token}
        kept = {"model": "the-model", "input": [{"type": "item_reference", "id": "msg_1"}]}
        referred = await inside.client.post("/v1/responses", json=kept, headers=headers)
        there = {"type": "shell", "environment": {"type": "container_auto"}}
        here = {"type": "shell", "environment": {"type": "local"}}
        tools = {"model": "the-model", "input": "x", "tools": [there, here]}
        await inside.client.post("/v1/responses", json=tools, headers=headers)
    assert "item_reference" in referred.json()["error"]["message"]
    (body,) = service.bodies
    assert body["tools"] == [here]


# Ceilings


@pytest.mark.parametrize("stream", [False, True])
async def test_who_hangs_up_is_billed_all_the_same(service: Service, enter: Enter, stream: bool):
    service.delay_s = 0.2
    async with enter(spending=Spending(max_tokens_total=5 * PER_CALL)) as inside:
        for number in range(30):
            with contextlib.suppress(httpx2.HTTPError):
                await inside.client.post(
                    "/v1/messages",
                    json=asked(f"{number} {LONG}", stream=stream),
                    headers={"x-api-key": inside.session.token},
                    timeout=0.05,
                )
        await asyncio.sleep(0.5)
        spent = sum(each.usage.total_tokens for each in inside.session.exchanges)
    assert len(service.bodies) <= 6
    assert spent == len(service.bodies) * PER_CALL


async def test_what_is_under_way_when_an_attempt_ends_is_booked(
    service: Service, enter: Enter, journal: Journal
):
    """An attempt that drops its last question does not have it for nothing."""
    service.delay_s = 0.5
    async with enter() as inside:
        with contextlib.suppress(httpx2.HTTPError):
            await inside.client.post(
                "/v1/messages",
                json=asked("x", stream=True),
                headers={"x-api-key": inside.session.token},
                timeout=0.2,
            )
    (kept,) = journal.entries()
    assert kept.record.usage.total_tokens == PER_CALL
    assert len(service.bodies) == 1


async def test_side_by_side_no_more_is_asked_than_the_ceilings_allow(
    service: Service, enter: Enter
):
    service.delay_s = 0.3
    async with enter(spending=Spending(max_tokens_total=5 * PER_CALL)) as inside:
        await asyncio.gather(*(inside.ask(asked(f"{n} {LONG}")) for n in range(64)))
    assert len(service.bodies) * PER_CALL <= 6 * PER_CALL
    service.bodies.clear()
    async with enter("episode-2", limits=CallLimits(max_calls=5)) as inside:
        await asyncio.gather(*(inside.ask(asked(f"other {n} {LONG}")) for n in range(64)))
    assert len(service.bodies) <= 5
    service.bodies.clear()
    limits = CallLimits(max_tokens=5 * PER_CALL)
    async with enter("episode-3", limits=limits) as inside:
        await asyncio.gather(*(inside.ask(asked(f"more {n} {LONG}")) for n in range(64)))
    assert len(service.bodies) <= 6


async def test_many_answers_to_one_question_are_reserved_for(service: Service, enter: Enter):
    """`n` answers are paid n times, and `max_tokens` may be an answer of any length."""
    async with enter(kind="openai", spending=Spending(max_tokens_total=3_000)) as inside:
        chat = {"model": "the-model", "messages": [{"role": "user", "content": "x"}]}
        chat |= {"n": 128, "max_tokens": 1_000}
        told = await inside.client.post(
            "/v1/chat/completions", json=chat, headers={"x-api-key": inside.session.token}
        )
    assert told.status_code in (400, 402)
    assert service.bodies == []


async def test_counting_tokens_is_no_way_to_ask_for_nothing(service: Service, enter: Enter):
    service.reply = lambda body: JSONResponse({"input_tokens": 7, "secret": KEY})
    limits = CallLimits(max_calls=5)
    async with enter(limits=limits) as inside:
        headers = {"x-api-key": inside.session.token}
        path = "/v1/messages/count_tokens"
        counted = await inside.client.post(path, json=asked("x"), headers=headers)
        assert counted.json() == {"input_tokens": 7}
        began = time.monotonic()
        every = [inside.client.post(path, json=asked(f"x{n}"), headers=headers) for n in range(200)]
        codes = [told.status_code for told in await asyncio.gather(*every)]
        assert codes == [200] * 200
        inside.session.over.set()
        late = await inside.client.post(path, json=asked("y"), headers=headers)
    assert late.status_code == 402
    assert len(service.bodies) <= 5 * 20, "a service's own limit of requests is the run's to keep"
    assert time.monotonic() - began < 20
