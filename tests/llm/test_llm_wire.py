"""What is sent to each provider, and what comes back."""

import json
import os
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from support.model_service import MODEL, events_of, request, site

from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.llm.messages import Message, Opaque, Text, ToolResult, ToolSpec, ToolUse
from grindstone.records import Role, Usage

ANSWER_USAGE = Usage(
    input_tokens=1000, output_tokens=100, cache_read_tokens=200, cache_write_tokens=100
)


async def test_text_and_usage_to_the_token(service, opened):
    async with opened(service.url) as models:
        response = await models.get(MODEL).complete(request(), site())
    assert response.text == "hello"
    assert response.stop_reason == "end_turn"
    assert response.usage == ANSWER_USAGE
    assert response.model == "the-model"
    assert not response.replayed
    assert service.headers[0]["authorization"] == "Bearer sk-ant-secret"


async def test_request_has_the_shape_the_api_wants(service, opened):
    schema = {"type": "object", "properties": {"score": {"type": "integer", "minimum": 0}}}
    tool = ToolSpec(name="bash", description="Run.", input_schema={"type": "object"})
    asked = request(tools=(tool,), output_schema=schema, effort="low", max_tokens=77)
    async with opened(service.url) as models:
        await models.get(MODEL).complete(asked, site())
    body = service.bodies[0]
    assert body["model"] == MODEL
    assert body["max_tokens"] == 77
    assert body["tools"] == [
        {"name": "bash", "description": "Run.", "input_schema": {"type": "object"}}
    ]
    assert body["output_config"]["effort"] == "low"
    sent = body["output_config"]["format"]["schema"]
    assert "minimum" not in sent["properties"]["score"]  # the API refuses bounds
    assert sent["additionalProperties"] is False
    assert not {"temperature", "top_p", "top_k"} & body.keys()


async def test_conversation_is_cached_at_its_end_and_a_single_question_is_not(service, opened):
    turns = (
        Message(role="user", content=(Text(text="first"),)),
        Message(role="assistant", content=(ToolUse(id="t1", name="bash", input={"c": "ls"}),)),
        Message(role="user", content=(ToolResult(tool_use_id="t1", content="a b"),)),
    )
    async with opened(service.url) as models:
        model = models.get(MODEL)
        await model.complete(request(messages=turns), site())
        await model.complete(request(messages=turns), site(role=Role.JUDGE))
    conversation, single = service.bodies
    mark = {"type": "ephemeral"}
    assert conversation["system"][0]["cache_control"] == mark
    assert conversation["messages"][0]["content"][0]["cache_control"] == mark
    assert conversation["messages"][2]["content"][0]["cache_control"] == mark
    assert conversation["messages"][2]["content"][0]["tool_use_id"] == "t1"
    assert single["system"][0]["cache_control"] == mark
    assert "cache_control" not in json.dumps(single["messages"])


async def test_tool_use_and_opaque_blocks_come_back_and_go_back_unchanged(service, opened):
    service.content = [
        {"type": "thinking", "thinking": "hmm", "signature": "sig"},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "t1", "name": "bash", "input": {"command": "ls -l"}},
    ]
    service.stop = "tool_use"
    async with opened(service.url) as models:
        model = models.get(MODEL)
        response = await model.complete(request(), site())
        assert response.tool_uses == (ToolUse(id="t1", name="bash", input={"command": "ls -l"}),)
        assert isinstance(response.content[0], Opaque)
        again = (
            *request().messages,
            Message(role="assistant", content=response.content),
            Message(role="user", content=(ToolResult(tool_use_id="t1", content=""),)),
        )
        await model.complete(request(messages=again), site(1))
    thinking, tool_use = service.bodies[1]["messages"][1]["content"]  # no empty text block
    assert thinking == {"type": "thinking", "thinking": "hmm", "signature": "sig"}
    assert tool_use["input"] == {"command": "ls -l"}


async def test_a_command_cut_by_the_token_limit_is_not_handed_on(service, opened):
    half = '{"command": "rm -rf /tmp/'
    service.content = [{"type": "tool_use", "id": "t1", "name": "bash", "input": half}]
    service.stop = "max_tokens"
    async with opened(service.url) as models:
        response = await models.get(MODEL).complete(request(), site())
    assert response.stop_reason == "max_tokens"
    assert response.tool_uses[0].input == {}


async def test_refusal_is_an_answer(service, opened):
    service.content, service.stop = [], "refusal"
    async with opened(service.url) as models:
        response = await models.get(MODEL).complete(request(), site())
    assert response.stop_reason == "refusal"
    assert len(service.bodies) == 1


async def test_an_answer_whose_goodbye_is_missing_is_kept(service, opened):
    lines = [
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        for event in events_of(service.content, "end_turn", 100)
    ]
    service.reply = lambda body: StreamingResponse(
        iter([*lines[:-1], "event: message_stop\ndata: {broken\n\n"]),
        media_type="text/event-stream",
    )
    async with opened(service.url) as models:
        response = await models.get(MODEL).complete(request(), site())
    assert response.text == "hello"
    assert len(service.bodies) == 1


async def test_a_page_instead_of_a_stream_is_no_answer(service, opened):
    service.reply = lambda body: PlainTextResponse("<html>welcome to the hotel wifi</html>")
    async with opened(service.url) as models:
        with pytest.raises(InfrastructureError) as caught:
            await models.get(MODEL).complete(request(), site())
    assert caught.value.cause is Cause.MODEL_TRUNCATED


AWS = {
    "AWS_ACCESS_KEY_ID": "AKIAFAKE",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
    "AWS_REGION": "eu-central-1",
}


@pytest.mark.parametrize(
    "model_id",
    [
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0@us-east-1",
    ],
)
async def test_bedrock(service, opened, model_id):
    service.content.append({"type": "tool_use", "id": "t", "name": "bash", "input": {"a": 1}})
    records = []
    environ = AWS | {"ANTHROPIC_BEDROCK_BASE_URL": service.url}
    async with opened("", environ=environ, on_call=records.append) as models:
        response = await models.get(model_id).complete(request(), site())
    assert response.text == "hello"
    assert response.tool_uses[0].input == {"a": 1}
    assert response.usage == ANSWER_USAGE
    assert service.paths[0].startswith("/model/")
    assert service.paths[0].endswith("/invoke-with-response-stream")
    assert "%40" not in service.paths[0]
    region = "us-east-1" if "us-east-1" in model_id else "eu-central-1"
    assert f"/{region}/bedrock/aws4_request" in service.headers[0]["authorization"]
    assert "model" not in service.bodies[0]
    assert records[0].provider == "bedrock"
    # 10 % above the list price, as for every regional profile
    dollars = 1000 * 3.3 + 200 * 0.33 + 100 * 4.125 + 100 * 16.5
    assert records[0].cost_usd == pytest.approx(dollars / 1e6)


async def test_bedrock_with_a_bearer_token_and_the_callers_region(service, opened):
    environ = {"AWS_BEARER_TOKEN_BEDROCK": "bt", "ANTHROPIC_BEDROCK_BASE_URL": service.url}
    async with opened("", environ=environ) as models:
        model = models.get("anthropic.claude-opus-5-5", region="us-west-2")
        assert (await model.complete(request(), site())).text == "hello"
    assert service.headers[0]["authorization"] == "Bearer bt"


@pytest.mark.parametrize("environ", [{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "half"}])
async def test_bedrock_without_credentials_says_what_to_set(opened, environ):
    async with opened("", environ=environ) as models:
        with pytest.raises(InputError, match="AWS_SECRET_ACCESS_KEY"):
            await models.get("us.anthropic.claude-opus-5-5").complete(request(), site())


def service_account(folder: Path, token_url: str) -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    account = {
        "type": "service_account",
        "project_id": "project-1",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "grindstone@project-1.example",
        "token_uri": token_url,
    }
    path = folder / "account.json"
    path.write_text(json.dumps(account))
    return path


async def test_vertex(service, opened, tmp_path, monkeypatch):
    account = service_account(tmp_path, f"{service.url}/token")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    environ = os.environ | {"ANTHROPIC_VERTEX_BASE_URL": f"{service.url}/v1"}
    records = []
    async with opened("", environ=environ, on_call=records.append) as models:
        own = models.get("claude-sonnet-5-5@default@europe-west1", region="us-east5")
        model = models.get("claude-sonnet-5-5@default", region="europe-west1")
        await own.complete(request(), site())
        del records[:], service.headers[:]
        assert service.paths.pop().startswith("/v1/projects/project-1/locations/europe-west1/")
        response = await model.complete(request(), site())
    assert response.text == "hello"
    assert response.usage == ANSWER_USAGE
    assert service.paths == [
        "/v1/projects/project-1/locations/europe-west1/publishers/anthropic/models/"
        "claude-sonnet-5-5@default:streamRawPredict"
    ]
    assert service.headers[0]["authorization"] == "Bearer at"
    assert records[0].provider == "vertex"
    assert records[0].cost_usd == pytest.approx((1000 * 2 + 200 * 0.1 + 100 * 2.5 + 100 * 10) / 1e6)


async def test_vertex_without_credentials_says_what_to_set(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    async with opened("", environ=os.environ) as models:
        with pytest.raises(InputError, match="GOOGLE_APPLICATION_CREDENTIALS"):
            await models.get("claude-sonnet-5-5@default").complete(request(), site())
