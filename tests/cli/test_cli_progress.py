"""What a pipe is told of a run, a line for each thing worth one."""

import io
import os
import re
import time

import pytest

from grindstone.flows.attempt import told
from grindstone.flows.cli import progress
from grindstone.flows.cli.progress import watcher
from grindstone.llm.budget import Spend
from grindstone.records import Episode, Outcome, Purpose, Usage, utc_now
from grindstone.runs.progress import (
    Advanced,
    AttemptBegan,
    AttemptEnded,
    Learned,
    LearningBegan,
    Note,
    RunBegan,
    SentAway,
    Spent,
    TurnEnded,
)


def test_a_line_says_an_outcome_whatever_its_sentence_begins_with() -> None:
    out = io.StringIO()
    with watcher(out) as watch:
        watch(RunBegan("key", False, 2))
        watch(Note("The model is [played]."))
        watch(AttemptBegan("sum"))
        watch(AttemptEnded("sum", Outcome.PASSED, "3/3 tests", cycle=2))
        watch(AttemptEnded("[b]", Outcome.ERROR, "passed away: no engine"))
        watch(LearningBegan("from 1 failed"))
        watch(Learned("evo-1", "one skill"))
        watch(Advanced(1, 2))
    lines = out.getvalue().splitlines()
    assert all(re.fullmatch(r"[012]\d:[0-5]\d:[0-5]\dZ ", line[:10]) for line in lines), lines
    assert [line[10:] for line in lines] == [
        "The model is [played].",
        "✓ sum  cycle 2  passed: 3/3 tests",
        "⚠ [b]  error: passed away: no engine",
        "  ↳ evo-1: one skill",
    ]


def test_once_a_minute_a_pipe_is_told_how_much_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "COUNT_S", 0.1)
    out = io.StringIO()
    with watcher(out) as watch:
        watch(Advanced(1, 9))
        time.sleep(0.15)
        watch(Advanced(2, 9))
        watch(Advanced(3, 9))
    assert [line[10:] for line in out.getvalue().splitlines()] == ["2 of 9 done"]


def spent(tokens: int, cost_usd: float | None) -> Spent:
    return Spent(Spend(usage=Usage(input_tokens=tokens), cost_usd=cost_usd, calls=1))


@pytest.mark.parametrize(
    ("spend", "told"),
    [
        (Spend(), ""),
        (spent(812, 0.0).spend, "812 tokens"),
        (spent(41_204, None).spend, "41k tokens"),
        (spent(1_240_000, 0.0).spend, "1.2M tokens"),
        (spent(5, 0.004).spend, "$0.0040"),
        (spent(5, 12.345).spend, "$12.35"),
    ],
)
def test_a_spend_is_told_in_dollars_and_one_without_in_tokens(spend: Spend, told: str):
    assert spend.told == told


def test_once_a_minute_a_pipe_is_told_turns_and_dollars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "COUNT_S", 0.0)
    out = io.StringIO()
    with watcher(out) as watch:
        watch(AttemptBegan("sum", "e1"))
        watch(AttemptBegan("wages", "e2"))
        watch(TurnEnded("e1"))
        watch(spent(9_000, 0.02))
        watch(AttemptEnded("sum", Outcome.PASSED, "3/3 tests", 0, "e1"))
        watch(Advanced(1, 2))
    assert [line[10:] for line in out.getvalue().splitlines()] == [
        "turn 1 of sum, solving wages",
        "turn 1 of sum, solving wages · $0.02",
        "✓ sum  passed: 3/3 tests",
        "1 of 2 done · solving wages · $0.02",
    ]


def test_a_pipe_hears_how_many_attempts_are_with_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "COUNT_S", 0.0)
    out = io.StringIO()
    with watcher(out) as watch:
        watch(SentAway(12))
        watch(spent(90_000, 0.0))
    assert out.getvalue().splitlines()[-1][10:] == "12 attempts with workers · 90k tokens"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize("colourless", [False, True])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminals_line_tells_turns_and_dollars_within_its_width(
    monkeypatch: pytest.MonkeyPatch, width: int, colourless: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if colourless:
        monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with watcher(out) as watch:
        watch(RunBegan("key", False, 12))
        watch(Advanced(3, 12))
        for name in ("legacy-table-exports-of-many-years", "wages", "visitor-report"):
            watch(AttemptBegan(name, name))
        for _ in range(17):
            watch(TurnEnded("legacy-table-exports-of-many-years"))
        watch(spent(123_456, 12.345))
        time.sleep(0.3)  # it is drawn ten times a second
    lines = [line for line in re.split(r"[\r\n]", _CONTROL.sub("", out.getvalue())) if line]
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if "0:…" in line], "a number is never cut off"
    latest = [line for line in lines if "turn 17 of legacy" in line][-1]
    assert {"3/12", "$12.35"} <= set(latest.split()), latest
    assert ("ETA" in latest) is (width > 60)
    assert (re.search(r"\x1b\[[0-9;]*3[0-9]", out.getvalue()) is None) is colourless


def test_a_reader_who_leaves_ends_no_run() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, watcher(stream) as watch:
        watch(Note("It is read."))
        os.close(reading)
        for _ in range(3):
            watch(Note("Nobody reads."))
        stream.write("Nor is what others write there refused.")
        stream.flush()


@pytest.mark.parametrize(
    ("profile", "turns", "detail"),
    [
        ("command mine 1.0 0123abcd", 0, "reward 0.00, its model was not asked"),
        ("command mine 1.0 0123abcd", 3, "reward 0.00"),
        ("nop", 0, "reward 0.00"),
    ],
)
def test_a_program_that_asked_no_model_is_told_of(profile: str, turns: int, detail: str):
    episode = Episode(
        episode_id="e",
        run_key="k",
        agent_id="a",
        purpose=Purpose.GRIND,
        task_id="t",
        task_digest="d",
        outcome=Outcome.FAILED,
        profile=profile,
        turns=turns,
        started_at=utc_now(),
        ended_at=utc_now(),
    )
    assert told(episode).detail == detail
