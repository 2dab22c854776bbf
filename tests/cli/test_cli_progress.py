"""What a pipe is told of a run, a line for each thing worth one."""

import io
import os

from grindstone.flows.cli.progress import watcher
from grindstone.records import Outcome
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
    assert out.getvalue().splitlines() == [
        "The model is [played].",
        "✓ sum  cycle 2  passed: 3/3 tests",
        "⚠ [b]  error: passed away: no engine",
        "  ↳ evo-1: one skill",
    ]


def test_a_reader_who_leaves_ends_no_run() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, watcher(stream) as watch:
        watch(Note("It is read."))
        os.close(reading)
        for _ in range(3):
            watch(Note("Nobody reads."))
        stream.write("Nor is what others write there refused.")
        stream.flush()
