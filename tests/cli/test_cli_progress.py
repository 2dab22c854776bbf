"""What a pipe is told of a run, a line for each thing worth one."""

import io
import os
import re
import time

import pytest

from grindstone.flows.attempt import told
from grindstone.flows.cli import progress
from grindstone.flows.cli.progress import watcher
from grindstone.records import Episode, Outcome, Purpose, utc_now
from grindstone.runs.progress import (
    Advanced,
    AttemptBegan,
    AttemptEnded,
    Learned,
    LearningBegan,
    Note,
    RunBegan,
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
    assert all(re.fullmatch(r"[012]\d:[0-5]\d:[0-5]\d ", line[:9]) for line in lines), lines
    assert [line[9:] for line in lines] == [
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
    assert [line[9:] for line in out.getvalue().splitlines()] == ["2 of 9 done"]


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
