"""A call's identity: the same where only time made a difference, another one otherwise."""

import pytest

from grindstone.llm.calls import call_key
from grindstone.llm.messages import CallSite, Message, Request, Text, ToolResult, ToolUse
from grindstone.records import Role

SITE = CallSite(role=Role.SOLVER, scope="episode", turn=1)


def key(output: str, command: str = "ls") -> str:
    use = ToolUse(id="t", name="bash", input={"command": command})
    messages = (
        Message(role="user", content=(Text(text="do it"),)),
        Message(role="assistant", content=(use,)),
        Message(role="user", content=(ToolResult(tool_use_id="t", content=output),)),
    )
    return call_key("run", SITE, Request(messages=messages), "m")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("drwxr-xr-x 2 root root 60 Nov 21 03:59 .", "drwxr-xr-x 2 root root 60 Nov  1 04:00 ."),
        ("== 3 passed in 0.02s ==", "== 3 passed in 11.20s =="),
        ("real\t0m0.012s", "real\t1m2.500s"),
        ("wrote /tmp/tmpab12cd34", "wrote /tmp/tmpzz99yy88"),
        ("<object at 0x7f01deadbeef>", "<object at 0x7f02cafebabe>"),
        ("Fri Nov 21 23:59:59 UTC 2026", "Sat Nov 22 00:00:00 UTC 2026"),
        ("2026-11-20T10:00:00.123Z", "2026-11-21T11:30:10.999Z"),
    ],
)
def test_what_time_alone_changes_is_the_same_call(one: str, other: str):
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 passed, 0 failed", "0 passed, 3 failed"),
        ("total 12", "total 16"),
        ("exit code 0", "exit code 1"),
        ("version 1.2.3", "version 1.2.4"),
        ("port 8080", "port 8081"),
    ],
)
def test_any_other_difference_is_another_call(one: str, other: str):
    assert key(one) != key(other)


def test_what_the_model_itself_said_counts_to_the_letter():
    assert key("x", "sleep 1s") != key("x", "sleep 2s")
