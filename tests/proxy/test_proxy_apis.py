"""The three APIs: a body taken apart into events and put together again is the same body."""

import base64
import gzip
import json
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse
from support.model_proxy import Enter, asked, events_in
from support.model_service import Service

from grindstone.llm.budget import RequestSize, SpendMeter
from grindstone.llm.service import Api
from grindstone.proxy.api import ProxiedApi, sse, whole
from grindstone.proxy.chat import ChatApi
from grindstone.proxy.messages import MessagesApi
from grindstone.proxy.reach import reckoned_bytes
from grindstone.proxy.responses import ResponsesApi
from grindstone.records import Usage

LONG = "Grüße aus dem Sandkasten. " * 1_000

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "the-model",
    "content": [
        {"type": "thinking", "thinking": LONG, "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "…"},
        {"type": "text", "text": LONG},
        {"type": "tool_use", "id": "toolu_1", "name": "bash", "input": {"command": LONG}},
        {"type": "server_tool_use", "id": "s_1", "name": "web_search", "input": {"query": "x"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 3},
}
COMPLETION = {
    "id": "chatcmpl-1",
    "created": 1,
    "model": "the-model",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": LONG,
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "id": f"call_{n}",
                        "type": "function",
                        "function": {"name": "bash", "arguments": json.dumps({"command": LONG})},
                    }
                    for n in range(2)
                ],
            },
            "finish_reason": "tool_calls",
            "logprobs": None,
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 9,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 3},
    },
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "the-model",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": LONG, "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "exec_command",
            "arguments": json.dumps({"cmd": LONG}),
            "status": "completed",
        },
    ],
    "usage": {
        "input_tokens": 10,
        "output_tokens": 9,
        "total_tokens": 19,
        "input_tokens_details": {"cached_tokens": 3},
    },
}
WITH_USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
BODIES: list[tuple[ProxiedApi, dict[str, Any]]] = [
    (MessagesApi(), MESSAGE),
    (ChatApi(), COMPLETION),
    (ResponsesApi(), RESPONSE),
]


@pytest.mark.parametrize(("api", "body"), BODIES, ids=lambda value: getattr(value, "api", ""))
def test_events_add_up_to_the_body_they_were_made_of(api: ProxiedApi, body: dict[str, Any]):
    answer = api.streamed(0)
    events = list(api.events(body, WITH_USAGE))
    for event in events_in(b"".join(events).decode()):
        answer.add(event)
    assert answer.complete
    response = answer.response()
    assert whole(response) == body
    assert response.stop_reason == "tool_use"
    assert response.usage == Usage(input_tokens=7, output_tokens=9, cache_read_tokens=3)
    assert max(map(len, events)) < 3 * len(json.dumps(body))
    said = api.said(body)
    assert said.text == LONG
    assert [next(iter(call.arguments.values())) for call in said.calls[:1]] == [LONG]


CHAT_ASKED = {
    "model": "the-model",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "go"},
    ],
}
RESPONSES_ASKED = {
    "model": "the-model",
    "instructions": "Be brief.",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]}
    ],
}


@pytest.mark.parametrize(
    ("api", "path", "asked", "body"),
    [
        (ChatApi(), "/v1/chat/completions", CHAT_ASKED, COMPLETION),
        (ResponsesApi(), "/v1/responses", RESPONSES_ASKED, RESPONSE),
    ],
    ids=["chat", "responses"],
)
@pytest.mark.slow
async def test_openais_apis_pass_whole_streamed_and_replayed(
    service: Service,
    enter: Enter,
    api: ProxiedApi,
    path: str,
    asked: dict[str, Any],
    body: dict[str, Any],
):
    def reply(_: dict[str, Any]) -> Response:
        return StreamingResponse(api.events(body, WITH_USAGE), media_type="text/event-stream")

    service.reply = reply
    for _ in range(2):  # the second time out of the journal
        async with enter(kind="openai") as inside:
            headers = {"authorization": f"Bearer {inside.session.token}"}
            plain = await inside.client.post(path, json=asked, headers=headers)
            assert plain.json() == body
            streamed = asked | {"stream": True, "tools": [{"name": "x", "type": "function"}]}
            streamed |= WITH_USAGE if api.api is Api.CHAT else {}
            events = await inside.client.post(path, json=streamed, headers=headers)
            told = events_in(events.text)
            assert told == events_in(b"".join(api.events(body, WITH_USAGE)).decode())
    assert len(service.bodies) == 2
    assert all(each["stream"] is True for each in service.bodies)
    assert inside.session.opening is not None
    assert inside.session.opening == ("Be brief.", "go")
    assert [each.replayed for each in inside.session.exchanges] == [True, True]


@pytest.mark.parametrize("asked", [{}, {"stream_options": None}, WITH_USAGE])
async def test_a_chunk_without_a_choice_comes_to_who_asked_for_usage_alone(
    service: Service, enter: Enter, asked: dict[str, Any]
):
    def reply(_: dict[str, Any]) -> Response:
        events = ChatApi().events(COMPLETION, WITH_USAGE)
        return StreamingResponse(events, media_type="text/event-stream")

    service.reply = reply
    async with enter(kind="openai") as inside:
        headers = {"authorization": f"Bearer {inside.session.token}"}
        body = CHAT_ASKED | {"stream": True} | asked
        given = await inside.client.post("/v1/chat/completions", json=body, headers=headers)
    told = events_in(given.text)
    assert [bool(chunk.get("usage")) for chunk in told if not chunk["choices"]] == (
        [True] if asked == WITH_USAGE else []
    )
    assert inside.session.exchanges[0].usage.input_tokens > 0


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/chat/completions", CHAT_ASKED | {"functions": [{"name": "x"}]}, "tools"),
        ("/v1/chat/completions", CHAT_ASKED | {"function_call": "auto"}, "tools"),
    ],
)
async def test_what_is_not_taken_is_named_with_what_is(
    service: Service, enter: Enter, path: str, body: dict[str, Any], told: str
):
    async with enter(kind="openai") as inside:
        headers = {"authorization": f"Bearer {inside.session.token}"}
        given = await inside.client.post(path, json=body, headers=headers)
    assert given.status_code == 400
    assert told in given.json()["error"]["message"]
    assert service.bodies == []


async def test_a_packed_request_is_refused_by_its_header(service: Service, enter: Enter):
    async with enter() as inside:
        headers = {"x-api-key": inside.session.token, "content-encoding": "gzip"}
        packed = gzip.compress(json.dumps(asked("go")).encode())
        given = await inside.client.post("/v1/messages", content=packed, headers=headers)
    assert given.status_code == 415
    assert "content-encoding" in given.json()["error"]["message"]


async def test_a_path_that_leads_nowhere_names_those_that_lead_somewhere(enter: Enter):
    async with enter() as inside:
        lost = await inside.client.post("/v1/v1/messages", json=asked("go"))
        wrong = await inside.client.get("/v1/messages")
    assert (lost.status_code, wrong.status_code) == (404, 405)
    assert "POST /v1/v1/messages leads nowhere" in lost.json()["error"]["message"]
    assert "/v1/chat/completions" in lost.json()["error"]["message"]
    assert "GET /v1/messages" in wrong.json()["error"]["message"]


async def test_responses_have_their_tokens_counted_too(service: Service, enter: Enter):
    service.reply = lambda _: JSONResponse({"object": "response.input_tokens", "input_tokens": 12})
    async with enter(kind="openai") as inside:
        headers = {"authorization": f"Bearer {inside.session.token}"}
        given = await inside.client.post(
            "/v1/responses/input_tokens", json=RESPONSES_ASKED, headers=headers
        )
    assert given.json() == {"object": "response.input_tokens", "input_tokens": 12}
    assert service.paths[-1].endswith("/responses/input_tokens")
    assert inside.session.exchanges == []


PICTURE = base64.b64encode(b"x" * 1_500_000).decode()
PICTURES: list[tuple[ProxiedApi, dict[str, Any]]] = [
    (
        MessagesApi(),
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
        },
    ),
    (
        MessagesApi(),
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [{"type": "image", "source": {"type": "base64", "data": PICTURE}}],
        },
    ),
    (
        ChatApi(),
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
    ),
    (
        ResponsesApi(),
        {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
    ),
]


@pytest.mark.parametrize(("api", "block"), PICTURES)
def test_a_picture_is_not_reckoned_by_its_bytes(api: ProxiedApi, block: dict[str, Any]):
    message = {"role": "user", "content": [block]}
    body = {"model": "m", "messages": [message], "input": [message]}
    content = len(json.dumps(body))
    assert reckoned_bytes(body, content) < content - 1_900_000
    expected, most = SpendMeter().guess(RequestSize(reckoned_bytes(body, content), 100))
    assert 1_500 < expected.input_tokens < 20_000
    assert most.input_tokens > expected.input_tokens


async def test_an_api_the_model_does_not_speak_is_named(enter: Enter):
    async with enter() as inside:
        headers = {"x-api-key": inside.session.token}
        answer = await inside.client.post("/v1/responses", json=RESPONSES_ASKED, headers=headers)
    assert answer.status_code == 404
    assert "messages" in answer.json()["error"]["message"]


async def test_a_conversation_that_the_service_keeps_is_refused(enter: Enter):
    async with enter(kind="openai") as inside:
        headers = {"x-api-key": inside.session.token}
        body = RESPONSES_ASKED | {"previous_response_id": "resp_1"}
        answer = await inside.client.post("/v1/responses", json=body, headers=headers)
    assert answer.status_code == 400


async def test_usage_that_no_one_told_is_estimated(service: Service, enter: Enter):
    chunk = {"choices": [{"index": 0, "delta": {"content": "x" * 4_000}, "finish_reason": "stop"}]}
    service.reply = lambda _: StreamingResponse([sse(chunk)], media_type="text/event-stream")
    async with enter(kind="openai") as inside:
        headers = {"x-api-key": inside.session.token}
        await inside.client.post("/v1/chat/completions", json=CHAT_ASKED, headers=headers)
    (exchange,) = inside.session.exchanges
    assert exchange.usage.output_tokens == 1_000
    assert exchange.usage.input_tokens > 20


OPENAIS = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]}),
    ("/v1/responses", {"input": "x"}),
]
TOLD = {
    "as OpenAI words it": lambda kind: {"type": "error", "code": kind, "message": "m"},
    "as most do": lambda kind: {"type": "error", "error": {"type": kind, "message": "m"}},
    "by a code": lambda kind: {"type": "error", "error": {"code": kind, "message": "m"}},
    "as a failed response": lambda kind: {
        "type": "response.failed",
        "response": {"error": {"code": kind, "message": "m"}},
    },
}


@pytest.mark.parametrize("kind", ["overloaded_error", "server_error", "a_new_word", "502"])
@pytest.mark.parametrize("worded", TOLD)
async def test_an_error_inside_a_stream_is_tried_again(
    service: Service, enter: Enter, worded: str, kind: str
):
    path, body = OPENAIS[worded != "by a code"]
    told = TOLD[worded](kind)

    def broken(_: dict[str, Any]) -> Response:
        service.reply = lambda _: stream_of_body(path)
        return StreamingResponse(iter([sse(told)]), media_type="text/event-stream")

    service.reply = broken
    async with enter(kind="openai") as inside:
        headers = {"authorization": f"Bearer {inside.session.token}"}
        answer = await inside.client.post(path, json={"model": "the-model"} | body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert len(service.bodies) == 2


@pytest.mark.parametrize(("path", "body"), OPENAIS)
async def test_a_refusal_inside_a_stream_is_the_programs_business(
    service: Service, enter: Enter, path: str, body: dict[str, Any]
):
    told = {"type": "error", "error": {"code": "context_length_exceeded", "message": "too long"}}
    service.reply = lambda _: StreamingResponse(iter([sse(told)]), media_type="text/event-stream")
    async with enter(kind="openai") as inside:
        headers = {"authorization": f"Bearer {inside.session.token}"}
        answer = await inside.client.post(path, json={"model": "the-model"} | body, headers=headers)
    assert (answer.status_code, len(service.bodies)) == (400, 1)
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert inside.session.failure is None


def stream_of_body(path: str) -> Response:
    api, body = (ResponsesApi(), RESPONSE) if "responses" in path else (ChatApi(), COMPLETION)
    return StreamingResponse(api.events(body, WITH_USAGE), media_type="text/event-stream")
