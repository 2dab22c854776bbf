"""What makes two requests the same: attacked from both sides, through each of the three APIs."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.model_proxy import Enter, asked
from support.model_service import Service

from grindstone.digest import digest
from grindstone.proxy.api import ProxiedApi
from grindstone.proxy.chat import ChatApi
from grindstone.proxy.identity import settled_piece, settled_text
from grindstone.proxy.messages import MessagesApi
from grindstone.proxy.responses import ResponsesApi

Body = dict[str, Any]
Build = Callable[[str, str, str], Body]


def messages(system: str, user: str, said: str) -> Body:
    use = {"type": "tool_use", "id": "t1", "name": "bash", "input": {"command": said}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    turns = [("user", user), ("assistant", [use]), ("user", [result])]
    tools = [{"name": "bash", "description": "Runs.", "input_schema": {"type": "object"}}]
    return {
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": role, "content": content} for role, content in turns],
        "tools": tools,
    }


def chat(system: str, user: str, said: str) -> Body:
    call = {"id": "t1", "type": "function", "function": {"name": "bash", "arguments": said}}
    return {
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": user},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": "ok"},
        ],
        "tools": [{"type": "function", "function": {"name": "bash"}}],
    }


def responses(system: str, user: str, said: str) -> Body:
    call = {"type": "function_call", "call_id": "t1", "name": "bash", "arguments": said, "id": "f1"}
    return {
        "instructions": system,
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": user}]},
            call,
            {"type": "function_call_output", "call_id": "t1", "output": "ok"},
        ],
        "tools": [{"type": "function", "name": "bash"}],
    }


APIS = {
    "messages": (MessagesApi(), messages),
    "chat": (ChatApi(), chat),
    "responses": (ResponsesApi(), responses),
}
every_api = pytest.mark.parametrize(("api", "build"), APIS.values(), ids=APIS)

TIME_AND_CHANCE = [
    ("Today's date: 2026-11-26", "Today's date: 2027-01-02"),
    ("Today is Thursday, November 26, 2026.", "Today is Friday, November 27, 2026."),
    ("It is Thu Nov 26 18:21:38 UTC 2026", "It is Fri Nov 27 09:01:02 UTC 2026"),
    ("started 11/26/2026, 6:21 PM", "started 1/2/2027, 11:59 AM"),
    ("now 2026-11-26T18:21:38.123Z", "now 2026-11-26T19:00:00Z"),
    ("at 1795717298", "at 1795717999"),
    ("at 1795717298123", "at 1795717999456"),
    ("Session ID: abc-123_x", "Session ID: zyx-987_y"),
    ('{"session_id": "ses_4fK2mQ9aB1"}', '{"session_id": "ses_9zP3rT7cD8"}'),
    ("thread 3c9e3a52-9f1e-4b5c-8f44-0a6f3a9f5b11", "thread 8d0b7a10-1111-4222-8333-444455556666"),
    ("cwd /tmp/tmpab12cd3e", "cwd /tmp/tmpzz98yy7x"),
    ("cwd /tmp/tmp.Ab3dE9xQ", "cwd /tmp/tmp.Zz8yX7wV"),
    ("scratch /tmp/agent-f3a9c1d2/notes", "scratch /tmp/agent-0b1c2d3e/notes"),
    ("scratch /tmp/opencode_9aX3kQ2m", "scratch /tmp/opencode_1bY4lR3n"),
    ("server http://127.0.0.1:41873", "server http://127.0.0.1:50122"),
]
REAL_WORDS = [
    ("Convert the table.", "Convert the cable."),
    ("Write 3 lines.", "Write 4 lines."),
    ("read /tmp/report.csv", "read /tmp/result.csv"),
    ("read /tmp/agent-notes", "read /tmp/agent-plans"),
    ("the session of the parliament", "the session of the senate"),
    ("listen on localhost:8080", "listen on localhost:9090"),
    ("Fix commit 1f3870be", "Fix commit 8ad2c0de"),
    ("use version 2.4.6", "use version 2.4.7"),
    ("May the branch", "May the twig"),
]


def known(api: ProxiedApi, body: Body) -> str:
    return digest(api.identity(body))


@every_api
@pytest.mark.parametrize(("one", "other"), TIME_AND_CHANCE, ids=[one for one, _ in TIME_AND_CHANCE])
def test_what_time_and_chance_change_is_the_same_request(
    api: ProxiedApi, build: Build, one: str, other: str
):
    assert known(api, build(one, one, "ls")) == known(api, build(other, other, "ls"))


@every_api
@pytest.mark.parametrize(("one", "other"), REAL_WORDS, ids=[one for one, _ in REAL_WORDS])
def test_a_real_word_is_another_request(api: ProxiedApi, build: Build, one: str, other: str):
    asked = known(api, build(one, one, one))
    assert asked != known(api, build(other, one, one)), "in the instructions"
    assert asked != known(api, build(one, other, one)), "in the user's words"
    assert asked != known(api, build(one, one, other)), "in what the model said"


@every_api
def test_what_the_model_said_counts_to_the_letter(api: ProxiedApi, build: Build):
    for one, other in TIME_AND_CHANCE:
        assert known(api, build("", "", one)) != known(api, build("", "", other))


@every_api
@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"user_id": "user_9a_session_1"}},
        {"user": "user-9a"},
        {"prompt_cache_key": "9a", "safety_identifier": "9a", "store": False},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"max_tokens": 7},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_is_said_beside_the_conversation_takes_no_part(
    api: ProxiedApi, build: Build, more: Body
):
    assert known(api, build("a", "b", "c")) == known(api, build("a", "b", "c") | more)


@every_api
def test_tools_are_known_by_their_names_and_results_by_their_calls(api: ProxiedApi, build: Build):
    body = build("a", "b", "c")
    fewer = body | {"tools": []}
    assert known(api, body) != known(api, fewer)
    shown = build("a", "b", "c")
    turns = shown.get("messages") or shown["input"]
    last = turns[-1]
    if "output" in last:
        last["output"] = "other"
    elif isinstance(last["content"], str):
        last["content"] = "other"
    else:
        last["content"][0]["content"] = "other"
    assert known(api, body) == known(api, shown)


def test_a_long_text_is_settled_piece_by_piece():
    rows = [f"row {i} at 12:{i % 60:02d}, session id abcdef{i:06d}" for i in range(20_000)]
    text = "\n".join(rows)
    whole, known = settled_text(text), settled_piece.cache_info()
    assert settled_text(f"{text}\nand one more") == f"{whole}\nand one more"
    assert settled_piece.cache_info().misses - known.misses < 5, "what it begins with is known"
    assert whole == "\n".join(settled_text(row) for row in rows)
    assert settled_text("x" * 100_000) == "x" * 100_000


async def test_a_long_conversation_keeps_nobody_else_waiting(service: Service, enter: Enter):
    text = "\n".join(f"line {i}, 12:{i % 60:02d}, value {i * 7}" for i in range(60_000))
    longest, began = 0.0, time.monotonic()
    async with enter() as inside:
        asking = asyncio.create_task(inside.ask(asked(text)))
        while not asking.done():
            at = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - at)
        assert (await asking).status_code == 200
    assert longest < (time.monotonic() - began) / 3
