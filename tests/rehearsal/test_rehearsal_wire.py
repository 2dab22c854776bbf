"""The Messages API as the real SDK meets it."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from grindstone.rehearsal import serve

BASH = {
    "name": "bash",
    "description": "Run a command.",
    "input_schema": {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    },
}
ASK = "Convert `/app/in.csv` to JSON and write it to `/app/out/in.json`."


def solver(**more: Any) -> dict[str, Any]:
    return {
        "model": "rehearsal",
        "max_tokens": 4000,
        "system": "Role: solver\n\nYou work alone.",
        "tools": [BASH],
        "messages": [{"role": "user", "content": ASK}],
    } | more


async def converse(client: AsyncAnthropic, outputs: list[str]) -> list[dict[str, Any]]:
    """Answer each tool call with the next output; return the conversation."""
    asked = solver()
    for output in [*outputs, None]:
        said = await client.messages.create(**asked)
        asked["messages"].append(
            {"role": "assistant", "content": [b.model_dump(mode="json") for b in said.content]}
        )
        uses = [block for block in said.content if block.type == "tool_use"]
        if output is None or not uses:
            break
        results = [
            {"type": "tool_result", "tool_use_id": use.id, "content": output} for use in uses
        ]
        asked["messages"].append({"role": "user", "content": results})
    return asked["messages"]


async def test_a_tool_loop_ends_with_the_agents_closing_words(client: AsyncAnthropic):
    talk = await converse(client, ["", "/app", "60 rows"])
    commands = [
        block["input"]["command"]
        for turn in talk
        if turn["role"] == "assistant"
        for block in turn["content"]
        if block["type"] == "tool_use"
    ]
    assert "/root/.agents/skills" in commands[0]
    assert "/app/in.csv /app/out/in.json" in commands[2]
    assert talk[-1]["content"][0]["type"] == "text"


async def test_a_failing_command_is_repeated_and_given_up(client: AsyncAnthropic):
    failed = "Traceback\n[exit code 1]"
    talk = await converse(client, ["", "/app", failed, failed, failed])
    assert "keeps failing" in talk[-1]["content"][0]["text"]


async def test_the_same_request_gets_the_same_answer(client: AsyncAnthropic):
    one, two = await asyncio.gather(
        client.messages.create(**solver()), client.messages.create(**solver())
    )
    async with serve() as url, AsyncAnthropic(base_url=url, api_key="other") as elsewhere:
        three = await elsewhere.messages.create(**solver())
    assert one.model_dump() == two.model_dump() == three.model_dump()


async def test_streaming_gives_the_same_message(client: AsyncAnthropic):
    plain = await client.messages.create(**solver())
    async with client.messages.stream(**solver()) as stream:
        streamed = await stream.get_final_message()
    assert [b.model_dump() for b in streamed.content] == [b.model_dump() for b in plain.content]
    assert streamed.stop_reason == plain.stop_reason == "tool_use"
    assert streamed.usage.output_tokens == plain.usage.output_tokens
    assert streamed.usage.input_tokens == plain.usage.input_tokens


async def test_it_says_that_it_is_a_rehearsal(client: AsyncAnthropic):
    raw = await client.messages.with_raw_response.create(**solver(model="claude-of-some-kind"))
    assert raw.headers["x-grindstone-rehearsal"] == "true"
    assert raw.headers["request-id"]
    assert (await raw.parse()).model == "rehearsal"
    assert [model.id async for model in client.models.list()] == ["rehearsal"]


async def test_structured_output_satisfies_its_schema(client: AsyncAnthropic):
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "integer", "enum": list(range(11))},
            "category": {"type": "string"},
            "outcome": {"type": "string"},
            "failure_reason": {"type": "string"},
            "also": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["score", "category", "outcome", "failure_reason", "also"],
        "additionalProperties": False,
    }
    said = await client.messages.create(
        model="rehearsal",
        max_tokens=500,
        system="Role: judge\n\nYou judge.",
        output_config={"format": {"type": "json_schema", "schema": schema}},
        messages=[
            {"role": "user", "content": "- category: log-analysis\n- errors: 3; timeouts: 0"}
        ],
    )
    verdict = json.loads(said.content[0].text)
    assert list(verdict) == schema["required"]
    assert verdict["category"] == "log-analysis"
    assert 0 <= verdict["score"] < 7
    assert verdict["failure_reason"]
    assert verdict["also"] is None


async def test_classifier_chooses_among_the_domains_offered(client: AsyncAnthropic):
    schema = {
        "type": "object",
        "properties": {
            "domain": {"enum": ["cooking", "version-control"], "type": "string"},
            "confidence": {"type": "number"},
        },
    }

    async def classified(text: str) -> dict[str, Any]:
        said = await client.messages.create(
            model="rehearsal",
            max_tokens=500,
            system="Role: classifier\n\nName the domain.",
            output_config={"format": {"type": "json_schema", "schema": schema}},
            messages=[{"role": "user", "content": text}],
        )
        return json.loads(said.content[0].text)

    sure = await classified("Recover a lost commit of a deleted git branch")
    unsure = await classified("Something else altogether")
    assert sure["domain"] == "version-control"
    assert sure["confidence"] > 0.6 > unsure["confidence"] == 0


async def test_count_tokens_agrees_with_usage(client: AsyncAnthropic):
    asked = solver()
    counted = await client.messages.count_tokens(
        **{name: value for name, value in asked.items() if name != "max_tokens"}
    )
    used = (await client.messages.create(**asked)).usage
    assert counted.input_tokens == used.input_tokens > 50
    assert used.output_tokens > 5


async def test_cached_prefixes_are_written_once_and_then_read(client: AsyncAnthropic):
    long = "Role: solver\n\n" + "Look before you act. " * 400
    marked = [{"type": "text", "text": long, "cache_control": {"type": "ephemeral"}}]
    first = (await client.messages.create(**solver(system=marked))).usage
    assert first.cache_creation_input_tokens > 1024
    assert first.cache_read_input_tokens == 0
    talk = [
        {"role": "user", "content": ASK},
        {"role": "assistant", "content": "I look."},
        {"role": "user", "content": "Go on."},
    ]
    later = (await client.messages.create(**solver(system=marked, messages=talk))).usage
    assert later.cache_read_input_tokens == first.cache_creation_input_tokens
    assert later.cache_creation_input_tokens == 0
    plain = (await client.messages.create(**solver(system=long))).usage
    assert plain.cache_creation_input_tokens == plain.cache_read_input_tokens == 0
    assert plain.input_tokens == first.input_tokens + first.cache_creation_input_tokens


async def test_answers_end_at_max_tokens_and_stop_sequences(client: AsyncAnthropic):
    short = await client.messages.create(**solver(max_tokens=3))
    assert short.stop_reason == "max_tokens"
    assert short.usage.output_tokens <= 3
    talk = {"role": "user", "content": "Who are you?"}
    cut = await client.messages.create(
        model="rehearsal", max_tokens=500, stop_sequences=["rehearsal"], messages=[talk]
    )
    assert cut.stop_reason == "stop_sequence"
    assert cut.stop_sequence == "rehearsal"
    assert "rehearsal" not in cut.content[0].text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"messages": []}, "at least one message"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        (
            {
                "messages": [
                    {"role": "user", "content": "x"},
                    {
                        "role": "assistant",
                        "content": [{"type": "tool_use", "id": "a", "name": "bash", "input": {}}],
                    },
                    {"role": "user", "content": "no result"},
                ]
            },
            "without `tool_result`",
        ),
    ],
)
async def test_bad_requests_are_refused_as_the_service_would(
    client: AsyncAnthropic, change: dict[str, Any], told: str
):
    with pytest.raises(anthropic.BadRequestError, match=told) as caught:
        await client.messages.create(**solver(**change))
    assert caught.value.body["error"]["type"] == "invalid_request_error"


async def test_unknown_addresses_are_not_found(client: AsyncAnthropic):
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("nobody")
    with pytest.raises(anthropic.NotFoundError):
        await client.get("/v1/nothing", cast_to=object)


async def test_a_taken_port_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            async with serve(port=taken.getsockname()[1]):
                pass


@pytest.mark.slow
async def test_a_hundred_requests_at_once(client: AsyncAnthropic):
    asked = [solver(messages=[{"role": "user", "content": f"{ASK} {n}"}]) for n in range(100)]
    said = await asyncio.gather(*(client.messages.create(**each) for each in asked))
    assert len({each.id for each in said}) == 100


@pytest.mark.commands
def test_the_package_is_cheap_to_import():
    code = (
        "import sys, grindstone.rehearsal; "
        "sys.exit(any(m in sys.modules for m in ('starlette', 'uvicorn', 'anthropic')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.commands
def test_the_blocking_server_ends_quietly_when_interrupted():
    code = "from grindstone.rehearsal import run; run(port=int(__import__('sys').argv[1]))"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", code, str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        sdk = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key="x", max_retries=8)
        with sdk:
            assert [model.id for model in sdk.models.list()] == ["rehearsal"]
        server.send_signal(signal.SIGINT)
        _, printed = server.communicate(timeout=20)
    assert server.returncode == 0
    assert "Traceback" not in printed
