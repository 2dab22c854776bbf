"""Signals one by one and in bulk, and what is left of a trajectory under a token budget."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grindstone.digest import canonical_json
from grindstone.observe.compression import compress, estimate_tokens
from grindstone.observe.signals import extract_signals
from grindstone.observe.signals_batch import signals_frame
from grindstone.records import Step, StepKind, StopReason, ToolCall, ToolOutput, Trajectory, utc_now

AT = utc_now()


def call(command: str, *, tool: str = "bash", call_id: str = "c", **output):
    argument = "keystrokes" if tool == "keystrokes" else "command"
    found = ToolOutput(**({"call_id": call_id, "content": ""} | output))
    return ToolCall(call_id=call_id, name=tool, arguments={argument: command}), found


def trajectory(*calls, stop: StopReason = StopReason.SUBMITTED, submission: str = "done"):
    steps = [
        Step(index=place, kind=StepKind.AGENT, calls=(asked,), outputs=(output,), at=AT)
        for place, (asked, output) in enumerate(calls)
    ]
    return Trajectory(steps=tuple(steps), stop_reason=stop, submission=submission)


def test_an_exit_status_is_believed_before_any_text():
    calm = call("cat log", content="Error: disk\nTraceback (most recent call last)", exit_code=0)
    silent = call("false", content="all fine", exit_code=1)
    signals = extract_signals(trajectory(calm, silent))
    assert signals.n_errors == 1
    assert signals.error_snippets == ("$ false\nall fine",)


def test_text_is_read_where_a_terminal_gives_no_status():
    bad = call("gfortan x\n", tool="keystrokes", content="bash: gfortan: command not found\n")
    good = call("cat notes\n", tool="keystrokes", content="errors are described in chapter 3")
    assert extract_signals(trajectory(bad, good)).n_errors == 1


def test_a_timeout_is_only_what_the_sandbox_ended():
    word = call("pytest", content="plugins: timeout-2.3\nTimeoutError", exit_code=1)
    ended = call("sleep 999", content="", exit_code=124, timed_out=True)
    assert extract_signals(trajectory(word)).n_timeouts == 0
    assert extract_signals(trajectory(ended)).n_timeouts == 1


def test_loops_count_from_three_whatever_the_white_space():
    calls = [
        call(text, exit_code=0) for text in ("make  all", "make all\n", " make\tall", "ls", "ls")
    ]
    loops = extract_signals(trajectory(*calls)).repeated_commands
    assert [(loop.command, loop.count) for loop in loops] == [("make all", 3)]


def test_submission_and_tools():
    signals = extract_signals(
        trajectory(call("ls"), call("ls\n", tool="keystrokes"), stop=StopReason.STEP_LIMIT)
    )
    assert (signals.submitted, signals.submission) == (False, "done")
    assert signals.tools_used == {"bash": 1, "keystrokes": 1}
    assert (signals.n_turns, signals.n_tool_calls) == (2, 2)


CALLS = st.tuples(
    st.sampled_from(["ls", "ls ", " make  all", "cat é", "", "x" * 300]),
    st.sampled_from(["bash", "keystrokes", "workspace_bash", "read_file"]),
    st.sampled_from(
        [
            "",
            "fine",
            "bash: x: command not found\n",
            "é" * 300 + "\nKeyError: 'a'\n" + "z" * 900,
            "a" * 900,
            "  \nmake: *** [all] Error 2\n" + "b" * 500,
        ]
    ),
    st.sampled_from([None, 0, 1, 124]),
    st.booleans(),
    st.booleans(),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.lists(CALLS, max_size=3), max_size=6), min_size=1, max_size=4))
def test_in_bulk_the_signals_are_the_same(episodes):
    made = {f"e{place}": _trajectory(steps) for place, steps in enumerate(episodes)}
    made = {name: each for name, each in made.items() if each.steps}
    rows = [_row(name, step) for name, each in made.items() for step in each.steps]
    ends = pl.DataFrame(
        [
            {"episode_id": name, "stop_reason": each.stop_reason.value, "submission": "s"}
            for name, each in made.items()
        ],
        schema={"episode_id": pl.String, "stop_reason": pl.String, "submission": pl.String},
    )
    frame = signals_frame(pl.DataFrame(rows[::-1], schema=SCHEMA), ends)
    assert frame["episode_id"].to_list() == sorted(made)
    for row in frame.iter_rows(named=True):
        one = extract_signals(made[row["episode_id"]])
        assert row["n_turns"] == one.n_turns
        assert row["n_tool_calls"] == one.n_tool_calls
        assert row["n_errors"] == one.n_errors
        assert row["n_timeouts"] == one.n_timeouts
        assert {each["tool"]: each["count"] for each in row["tools_used"]} == one.tools_used
        assert [(each["command"], each["count"]) for each in row["repeated_commands"]] == [
            (loop.command, loop.count) for loop in one.repeated_commands
        ]
        assert tuple(row["error_snippets"]) == one.error_snippets
        assert row["submitted"] == one.submitted


SCHEMA = {
    "episode_id": pl.String,
    "index": pl.Int64,
    "kind": pl.String,
    "calls": pl.List(pl.Struct({"call_id": pl.String, "name": pl.String, "arguments": pl.String})),
    "outputs": pl.List(
        pl.Struct(
            {
                "call_id": pl.String,
                "content": pl.String,
                "is_error": pl.Boolean,
                "exit_code": pl.Int64,
                "timed_out": pl.Boolean,
                "duration_s": pl.Float64,
            }
        )
    ),
}


def _trajectory(steps) -> Trajectory:
    made = []
    for index, calls in enumerate(steps):
        asked, given_ = [], []
        for place, (command, tool, content, exit_code, is_error, timed_out) in enumerate(calls):
            one, output = call(
                command,
                tool=tool,
                call_id=f"c{place}",
                content=content,
                exit_code=exit_code,
                is_error=is_error,
                timed_out=timed_out,
            )
            asked.append(one)
            given_.append(output)
        kind = StepKind.AGENT if index % 3 else StepKind.USER
        made.append(
            Step(index=index, kind=kind, calls=tuple(asked), outputs=tuple(given_[:2]), at=AT)
        )
    return Trajectory(steps=tuple(made), stop_reason=StopReason.SUBMITTED)


def _row(name: str, step: Step) -> dict:
    return {
        "episode_id": name,
        "index": step.index,
        "kind": step.kind.value,
        "calls": [
            {"call_id": c.call_id, "name": c.name, "arguments": canonical_json(c.arguments)}
            for c in step.calls
        ],
        "outputs": [output.model_dump() for output in step.outputs],
    }


def test_all_of_a_short_trajectory_is_kept():
    calls = [call(f"step-{n}", content=f"out-{n}", exit_code=int(n == 5)) for n in range(10)]
    calls += [call("again", exit_code=0)] * 3
    text = compress(trajectory(*calls), 2000)
    for shown in ("step-0", "step-1", "step-2", "step-5", "out-5", "`again` x3", "done"):
        assert shown in text
    assert "step-4" not in text


@pytest.mark.parametrize("budget", [60, 200, 800, 3000])
def test_a_budget_keeps_both_ends(budget: int):
    calls = [call(f"c{n:03d}", content="boom " * 400, exit_code=1) for n in range(120)]
    text = compress(trajectory(*calls), budget)
    assert estimate_tokens(text) <= budget
    for shown in ("c000", "c001", "c002", "c117", "c118", "c119"):
        assert shown in text


@pytest.mark.parametrize("count", range(7))
def test_the_ends_of_few_commands_do_not_overlap(count: int):
    text = compress(trajectory(*[call(f"c{n}", exit_code=0) for n in range(count)]), 1000)
    assert [text.count(f"$ c{n}") for n in range(count)] == [1] * count
