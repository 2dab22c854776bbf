"""How fast signals are taken from trajectories: megabytes of text a second.

Generates trajectories of terminal work in the ledger's form of steps, takes the signals of
all of them in one go with polars and, for comparison, one by one in Python.

    python benchmarks/trajectory_signals.py --mb 200
"""

import argparse
import json
import random
import time

import polars as pl

from grindstone.digest import canonical_json
from grindstone.observe.signals import extract_signals
from grindstone.observe.signals_batch import signals_frame
from grindstone.records import (
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    utc_now,
)

_LINES = (
    "drwxr-xr-x 2 root root 4096 Nov 21 02:00 data",
    "Collecting package metadata: done",
    "gcc -O2 -Wall -c parser.c -o build/parser.o",
    "row 1204: 17.25;closed;2031-04-05;north",
    "warning: unused variable 'count' [-Wunused-variable]",
    "tests/test_reader.py::test_header PASSED",
)
_ERRORS = (
    "bash: gfortran: command not found",
    "Traceback (most recent call last):\n  File \"run.py\", line 3\nKeyError: 'north'",
    "make: *** [Makefile:12: all] Error 2",
)
_COMMANDS = ("ls -la data", "make  all", "python3 run.py", "sed -n 1,80p run.py", "cat  log.txt")


def generate(megabytes: float, steps: int = 40) -> dict[str, Trajectory]:
    """Return trajectories whose outputs hold about that much text."""
    chance = random.Random(7)
    found: dict[str, Trajectory] = {}
    size, at = 0, utc_now()
    while size < megabytes * 1e6:
        made: list[Step] = []
        for index in range(steps):
            keystrokes = chance.random() < 0.5
            command = chance.choice(_COMMANDS)
            lines = chance.choices(_LINES, k=chance.randint(5, 120))
            failed = chance.random() < 0.2
            if failed:
                lines.insert(chance.randrange(len(lines)), chance.choice(_ERRORS))
            content = "\n".join(lines)
            size += len(content) + len(command)
            name, argument = ("keystrokes",) * 2 if keystrokes else ("bash", "command")
            arguments: dict[str, object] = {argument: command}
            made.append(
                Step(
                    index=index,
                    kind=StepKind.AGENT,
                    calls=(ToolCall(call_id="c", name=name, arguments=arguments),),
                    outputs=(
                        ToolOutput(
                            call_id="c",
                            content=content,
                            exit_code=None if keystrokes else int(failed),
                        ),
                    ),
                    at=at,
                )
            )
        name = f"episode-{len(found):05d}"
        found[name] = Trajectory(steps=tuple(made), stop_reason=StopReason.SUBMITTED)
    return found


def frame(trajectories: dict[str, Trajectory]) -> pl.DataFrame:
    """Return the steps as the ledger's table holds them."""
    call = pl.Struct({"call_id": pl.String, "name": pl.String, "arguments": pl.String})
    output = pl.Struct(
        {
            "call_id": pl.String,
            "content": pl.String,
            "is_error": pl.Boolean,
            "exit_code": pl.Int64,
            "timed_out": pl.Boolean,
        }
    )
    rows = [
        {
            "episode_id": name,
            "index": step.index,
            "kind": step.kind.value,
            "calls": [
                {
                    "call_id": each.call_id,
                    "name": each.name,
                    "arguments": canonical_json(each.arguments),
                }
                for each in step.calls
            ],
            "outputs": [
                {
                    "call_id": each.call_id,
                    "content": each.content,
                    "is_error": each.is_error,
                    "exit_code": each.exit_code,
                    "timed_out": each.timed_out,
                }
                for each in step.outputs
            ],
        }
        for name, trajectory in trajectories.items()
        for step in trajectory.steps
    ]
    schema = {
        "episode_id": pl.String,
        "index": pl.Int64,
        "kind": pl.String,
        "calls": pl.List(call),
        "outputs": pl.List(output),
    }
    return pl.DataFrame(rows, schema=schema)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=200.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    trajectories = generate(given.mb)
    steps = frame(trajectories)
    size = (
        sum(
            len(output.content)
            for trajectory in trajectories.values()
            for step in trajectory.steps
            for output in step.outputs
        )
        / 1e6
    )
    times = []
    for _ in range(given.rounds):
        started = time.perf_counter()
        rows = signals_frame(steps).height
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    for trajectory in trajectories.values():
        extract_signals(trajectory)
    alone = time.perf_counter() - started
    print(
        json.dumps(
            {
                "episodes": rows,
                "text_mb": round(size, 1),
                "batch_mb_per_s": round(size / min(times), 1),
                "batch_mb_per_s_worst": round(size / max(times), 1),
                "one_by_one_mb_per_s": round(size / alone, 1),
                "aim_mb_per_s": 50,
            }
        )
    )


if __name__ == "__main__":
    main()
