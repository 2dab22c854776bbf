"""What a program inside gets for what it asks, and what is kept of it."""

import asyncio
import contextlib
import json
from typing import Any

import anthropic
import httpx2
import pytest
from starlette.responses import JSONResponse, Response
from support.model_proxy import KEY, Enter, asked
from support.model_service import Service

from grindstone.errors import BudgetExceededError, Cause, InfrastructureError
from grindstone.llm import Journal
from grindstone.llm.budget import Spending
from grindstone.proxy import CallLimits
from grindstone.records import StopReason

USE = {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": "date"}}
THOUGHT = {"type": "thinking", "thinking": "I look at the clock.", "signature": "c2ln"}
REPORT = {"type": "text", "text": "It is noon. " * 2_000}


def result(text: str) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
    return {"role": "user", "content": [block]}


async def test_an_answer_is_in_the_journal_before_its_first_byte_goes_in(
    service: Service, enter: Enter, journal: Journal
):
    async with enter() as inside:
        headers = {"x-api-key": inside.session.token}
        body = asked("hello", stream=True)
        asking = inside.client.stream("POST", "/v1/messages", json=body, headers=headers)
        async with asking as answer:
            first = await anext(answer.aiter_bytes(1))
            (kept,) = journal.entries()
    assert first
    assert kept.record.scope == "episode-1"
    assert kept.record.usage.output_tokens == 100
    assert service.headers[0]["x-api-key"] == KEY


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_makers_own_sdk_reads_what_the_service_said(
    service: Service, enter: Enter, streamed: bool
):
    service.content, service.stop = [THOUGHT, REPORT, USE], "tool_use"
    async with enter() as inside:
        url = str(inside.client.base_url)
        sdk = anthropic.AsyncAnthropic(
            api_key=inside.session.token,
            base_url=url,
            max_retries=0,
            http_client=anthropic.DefaultAsyncHttpxClient(trust_env=False),
        )
        async with sdk:
            if streamed:
                async with sdk.messages.stream(**asked("what time is it?")) as stream:
                    message = await stream.get_final_message()
            else:
                message = await sdk.messages.create(**asked("what time is it?"))
    assert [block.to_dict(mode="json") for block in message.content] == [THOUGHT, REPORT, USE]
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens == 100
    assert message.usage.cache_read_input_tokens == 200


@pytest.mark.slow
async def test_an_attempt_that_is_made_again_pays_for_nothing_twice(service: Service, enter: Enter):
    service.content, service.stop = [USE], "tool_use"
    use = {"role": "assistant", "content": [USE]}
    days = ("2026-11-26", "2026-11-27")
    ids = ("0c5ab3e8-5a86-4f6c-9c0b-0d9e5fb4c001", "aaaab3e8-5a86-4f6c-9c0b-0d9e5fb4c002")
    paid = []
    for day, session_id in zip(days, ids, strict=True):
        system = (
            f"Today is {day}. Your session is {session_id}; scratch: /tmp/tmp.x{day[-2:]}abcdef"
        )
        metadata = {"metadata": {"user_id": session_id}, "system": system}
        async with enter() as inside:
            first = await inside.ask(asked("go", **metadata))
            # What the command showed differs, as it does in another sandbox.
            again = asked("go", use, result(f"{session_id} {day}"), **metadata)
            second = await inside.ask(again)
            assert (first.status_code, second.status_code) == (200, 200)
        paid.append(len(service.bodies))
    assert paid == [2, 2]
    assert [each.replayed for each in inside.session.exchanges] == [True, True]


async def test_what_the_model_said_tells_requests_apart(service: Service, enter: Enter):
    async with enter() as inside:
        for said in ("yes", "no"):
            await inside.ask(asked("go", said, "and now?"))
    assert len(service.bodies) == 2


@pytest.mark.slow
async def test_the_same_question_again_is_another_one_once_its_answer_was_received(
    service: Service, enter: Enter
):
    async with enter() as inside:
        await inside.ask(asked("roll a die"))
        await inside.ask(asked("roll a die"))
        assert len(service.bodies) == 2
        service.delay_s = 0.5
        with contextlib.suppress(httpx2.TimeoutException):  # it hangs up, and comes back for it
            await inside.client.post(
                "/v1/messages",
                json=asked("a long one"),
                headers={"x-api-key": inside.session.token},
                timeout=0.2,
            )
        assert (await inside.ask(asked("a long one"))).status_code == 200
    assert len(service.bodies) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_question_side_by_side_has_an_answer_each(
    service: Service, enter: Enter, stream: bool
):
    async with enter() as inside:
        service.delay_s = 0.05
        asking = (inside.ask(asked("roll a die", stream=stream)) for _ in range(4))
        assert [done.status_code for done in await asyncio.gather(*asking)] == [200] * 4
        assert len(service.bodies) == 4
        assert not any(each.replayed for each in inside.session.exchanges)


@pytest.mark.slow
async def test_who_hangs_up_and_comes_back_late_pays_once(service: Service, enter: Enter):
    async with enter() as inside:
        service.delay_s = 0.5
        with contextlib.suppress(httpx2.TimeoutException):
            await inside.client.post(
                "/v1/messages",
                json=asked("a long one"),
                headers={"x-api-key": inside.session.token},
                timeout=0.2,
            )
        while not inside.session.exchanges:  # it was answered meanwhile, to nobody
            await asyncio.sleep(0.05)
        assert (await inside.ask(asked("a long one"))).status_code == 200
    assert len(service.bodies) == 1


@pytest.mark.slow
async def test_a_token_opens_its_own_attempt_and_model_until_the_end(
    service: Service, enter: Enter
):
    async with enter("episode-1") as one, enter("episode-2") as two:
        refused = [
            await two.ask(asked("x"), token=one.session.token),
            await two.ask(asked("x"), token=KEY),
            await two.client.post("/v1/messages", json=asked("x")),
        ]
        for path in (
            *("/v1/messages/count_tokens", "/v1/chat/completions", "/chat/completions"),
            *("/v1/responses", "/responses"),
        ):
            stolen = {"x-api-key": one.session.token}
            refused.append(await two.client.post(path, json=asked("x"), headers=stolen))
        other = await two.ask(asked("x", model="a-dearer-model"))
        bearer = {"authorization": f"Bearer {two.session.token}"}
        allowed = await two.client.post("/v1/messages", json=asked("x"), headers=bearer)
        two.session.over.set()
        late = await two.ask(asked("y"))
    assert [answer.status_code for answer in refused] == [401] * 8
    assert refused[0].json()["error"]["type"] == "authentication_error"
    assert other.status_code == 404
    assert allowed.status_code == 200
    assert late.status_code == 402
    assert len(service.bodies) == 1
    with pytest.raises(httpx2.HTTPError):
        await httpx2.AsyncClient(trust_env=False).post(
            f"{one.client.base_url}/v1/messages", json=asked("x")
        )


@pytest.mark.slow
async def test_a_ceiling_ends_the_attempt_with_an_error_its_api_knows(
    service: Service, enter: Enter
):
    per_call = 1000 + 200 + 100 + service.output_tokens
    async with enter(spending=Spending(max_tokens_total=5 * per_call)) as inside:
        answers = [await inside.ask(asked(f"question {n}")) for n in range(12)]
        spent = sum(each.usage.total_tokens for each in inside.session.exchanges)
    codes = [answer.status_code for answer in answers]
    assert codes[0] == 200
    assert codes[-1] == 402
    assert answers[-1].json()["error"]["type"] == "billing_error"
    assert answers[-1].headers["x-should-retry"] == "false"
    assert len(service.bodies) == codes.count(200)
    assert spent <= 6 * per_call
    assert isinstance(inside.session.failure, BudgetExceededError)
    assert inside.session.over.is_set()


@pytest.mark.slow
async def test_calls_in_flight_count_against_the_ceiling(service: Service, enter: Enter):
    per_call = 1000 + 200 + 100 + service.output_tokens
    service.delay_s = 0.2
    async with enter(spending=Spending(max_tokens_total=3 * per_call)) as inside:
        await inside.ask(asked("first"))
        every = [inside.ask(asked(f"question {n}" * 400)) for n in range(16)]
        codes = [answer.status_code for answer in await asyncio.gather(*every)]
    assert codes.count(402) > 0
    assert len(service.bodies) * per_call <= 4 * per_call + 3 * per_call


async def test_the_attempts_own_limits_are_no_failure(enter: Enter):
    async with enter(limits=CallLimits(max_calls=2)) as inside:
        codes = [(await inside.ask(asked(f"{n}"))).status_code for n in range(3)]
    assert codes == [200, 200, 402]
    assert inside.session.failure is None
    assert inside.session.limit is StopReason.STEP_LIMIT


@pytest.mark.slow
async def test_the_proxy_tries_again_so_that_the_program_need_not(service: Service, enter: Enter):
    asked_for = []

    def sometimes(body: dict[str, Any]) -> Response:
        asked_for.append(body)
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
        service.reply = None if len(asked_for) == 2 else sometimes
        return JSONResponse(error, 529)

    service.reply = sometimes
    async with enter() as inside:
        assert (await inside.ask(asked("x"))).status_code == 200
        assert len(service.bodies) == 3

        def never(body: dict[str, Any]) -> Response:
            return JSONResponse({"error": {"type": "overloaded_error"}}, 529)

        service.reply = never
        answer = await inside.ask(asked("y"))
        tried = len(service.bodies)
        assert answer.status_code == 500
        assert answer.headers["x-should-retry"] == "false"
        assert (await inside.ask(asked("z"))).status_code == 500
    assert len(service.bodies) == tried
    assert isinstance(inside.session.failure, InfrastructureError)
    assert inside.session.failure.cause is Cause.OVERLOADED


async def test_a_refusal_is_the_programs_business_and_a_bad_key_is_ours(
    service: Service, enter: Enter
):
    too_long = {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}
    async with enter() as inside:
        service.reply = lambda body: JSONResponse(too_long, 400)
        refused = await inside.ask(asked("x"))
        service.reply = None
        assert (await inside.ask(asked("shorter"))).status_code == 200
        denied = {"type": "error", "error": {"type": "authentication_error", "message": "no"}}
        service.reply = lambda body: JSONResponse(denied, 401)
        ended = await inside.ask(asked("z"))
    assert (refused.status_code, refused.json()) == (400, too_long)
    assert ended.status_code == 500
    assert isinstance(inside.session.failure, InfrastructureError)
    assert inside.session.failure.cause is Cause.MODEL_REJECTED


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", json.dumps({"model": "the-model"}).encode()])
async def test_what_is_no_request_is_told_as_such(enter: Enter, service: Service, body: bytes):
    async with enter() as inside:
        headers = {"x-api-key": inside.session.token, "content-type": "application/json"}
        answer = await inside.client.post("/v1/messages", content=body, headers=headers)
    assert answer.status_code == 400
    assert not service.bodies
    assert inside.session.failure is None


@pytest.mark.slow
async def test_a_long_wait_begins_the_stream_with_signs_of_life(
    service: Service, enter: Enter, monkeypatch: pytest.MonkeyPatch
):
    from grindstone.proxy import app

    monkeypatch.setattr(app, "HEADERS_AFTER_S", 0.1)
    monkeypatch.setattr(app, "SIGN_OF_LIFE_S", 0.1)
    service.delay_s = 0.6
    async with enter() as inside:
        answer = await inside.ask(asked("x", stream=True))
    assert answer.text.count(app.SIGN_OF_LIFE.decode()) >= 3
    assert answer.text.rstrip().endswith('{"type": "message_stop"}')
