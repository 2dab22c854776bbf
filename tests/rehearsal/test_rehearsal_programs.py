"""The rehearsal behind programs of others: their prompts, their wrappings, OpenAI's APIs."""

import json
from typing import Any

import httpx2
import pytest

from grindstone.rehearsal import serve
from grindstone.rehearsal.observed import failures
from grindstone.rehearsal.programs import SUBMIT, our_words, unwrapped
from grindstone.rehearsal.wire import known_by

OURS = "Role: solver\n\nBe good.\n\n## Skills\n\n- tidy-up: Use it to tidy.\n"
TASK = "Read /app/in.txt and write /app/out.txt."


@pytest.mark.parametrize(
    ("system", "texts"),
    [
        (OURS, (TASK,)),
        (f"You are a program.\n\n{OURS}", ("<system-reminder>\nIt is Monday.\n", TASK)),
        (
            "You are another.",
            (
                f"# AGENTS.md instructions\n\n<INSTRUCTIONS>\n{OURS}</INSTRUCTIONS>",
                "<environment_context>\n  <cwd>/app</cwd>\n</environment_context>",
                TASK,
            ),
        ),
        ("Help.", (f"Please solve: \n{OURS}\n<task>\n{TASK}\n</task>\n\nBe quick.",)),
    ],
    ids=["ours", "claude-code", "codex", "mini-swe-agent"],
)
def test_our_words_are_found_wherever_a_program_put_them(system: str, texts: tuple[str, ...]):
    found = our_words(system, texts)
    assert found.system.strip() == OURS.strip()
    assert found.texts == (TASK,)


def test_what_a_program_wraps_is_unwrapped_and_nothing_else():
    codex = "Chunk ID: 3\nWall time: 0 s\nProcess exited with code 2\nTokens: 1\nOutput:\nno\n"
    assert unwrapped(codex) == "no\n\nexit code: 2"
    assert unwrapped(json.dumps({"returncode": 0, "output": "yes"})) == "yes\nexit code: 0"
    for plain in (f"a log\nof\nmany\nlines\n{codex}", '{"returncode": 0}', "{", "text"):
        assert unwrapped(plain) == plain


def test_a_call_is_known_without_the_cd_that_a_program_leaves_out():
    whole = known_by("Bash", {"command": "cd /app && make  all\n"})
    assert whole == known_by("Bash", {"command": "make all"})
    assert whole != known_by("Bash", {"command": "make install"})


def test_an_observation_without_sections_is_read_as_one():
    assert len(failures("nothing of the usual form", "")) == 1


async def converse(path: str, ask: Any, tell: Any) -> list[str]:
    """Run the loop of a program against the rehearsal; return the commands it was given."""
    commands: list[str] = []
    async with serve() as url, httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        while len(commands) < 12:
            answer = (await client.post(path, json=ask())).raise_for_status().json()
            found = tell(answer)
            if found is None:
                return commands
            commands.append(found)
    raise AssertionError(commands)


async def test_it_speaks_chat_completions_and_submits_as_it_is_told():
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": OURS},
        {"role": "user", "content": f"{TASK} At the end: `{SUBMIT}`."},
    ]
    shell = {"name": "bash", "parameters": {"properties": {"command": {}}, "required": ["command"]}}

    def ask() -> dict[str, Any]:
        tools = [{"type": "function", "function": shell}]
        return {"model": "rehearsal", "messages": messages, "tools": tools}

    def tell(answer: dict[str, Any]) -> str | None:
        message = answer["choices"][0]["message"]
        messages.append(message)
        if answer["choices"][0]["finish_reason"] != "tool_calls":
            return None
        (call,) = message["tool_calls"]
        told = {"role": "tool", "tool_call_id": call["id"], "content": "exit code: 1"}
        messages.append(told)
        return str(json.loads(call["function"]["arguments"])["command"])

    commands = await converse("/v1/chat/completions", ask, tell)
    assert len(commands) >= 2
    assert commands[-1] == SUBMIT


async def test_it_speaks_responses():
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "developer", "content": [{"text": OURS}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": TASK}]},
    ]
    shell = {"properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}
    tool = {"type": "function", "name": "exec_command", "parameters": shell}

    def ask() -> dict[str, Any]:
        return {"model": "rehearsal", "input": items, "tools": [tool, {"type": "web_search"}]}

    def tell(answer: dict[str, Any]) -> str | None:
        assert answer["status"] == "completed"
        items.extend(answer["output"])
        if answer["output"][-1]["type"] != "function_call":
            return None
        call = answer["output"][-1]
        output = "Process exited with code 0\nOutput:\n"
        items.append({"type": "function_call_output", "call_id": call["call_id"], "output": output})
        return str(json.loads(call["arguments"])["cmd"])

    commands = await converse("/v1/responses", ask, tell)
    assert len(commands) >= 1
    assert all(command.strip() for command in commands)
