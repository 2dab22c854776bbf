"""What a gate saves since no pair waits for another one.

    python benchmarks/gate_waiting.py [--tasks 10] [--trials 2] [--workers 4] [--spread 0.8]

One real gate between two states of an agent: the solution of each task sleeps for a time that is
log-normal, as that of agents is (most attempts take about the median, a few several times as long;
half of the spread is the task's, half the attempt's), so the machine has next to nothing to do.
The ledger tells the seconds each attempt took. The gate that waited is the same attempts in the
same order, in lots of as many pairs as fit the workers, each lot begun when the one before has
ended. No plan can take less than "at best": all seconds spread evenly over the workers, or the
longest attempt.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode
from grindstone.resources import bundled
from grindstone.workspace import Workspace

TASK_TOML = '[metadata]\ncategory = "waiting"\n[environment]\nallow_internet = false\n'
DOCKERFILE = "FROM debian:bookworm-slim\nWORKDIR /app\n"


def write_task(folder: Path, number: int, seconds: float, spread: float) -> None:
    """Write a task whose solution sleeps about some seconds, and which is like no other."""
    drawn = (
        "awk -v seed=$RANDOM$RANDOM 'BEGIN { srand(seed); "
        "normal = sqrt(-2 * log(1 - rand())) * cos(6.2831853 * rand()); "
        f'printf "%.2f", {seconds:.2f} * exp({spread:.3f} * normal) }}\''
    )
    files = {
        "instruction.md": f"Write {number} to /app/answer.\n",
        "task.toml": TASK_TOML,
        "environment/Dockerfile": DOCKERFILE,
        "tests/test.sh": f"#!/bin/bash\ngrep -qx {number} /app/answer\n"
        "echo $((1 - $?)) > /logs/verifier/reward.txt\n",
        "solution/solve.sh": f"#!/bin/bash\nsleep $({drawn})\necho {number} > /app/answer\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def two_states(home: Path) -> None:
    """Make an agent whose last state differs from its seed by a skill."""
    folder = Home.at(home).workspace("skillbench")
    workspace = Workspace.create(folder, bundled("seed_workspaces/skillbench"), chosen=True)
    with workspace.writing() as root:
        skill = root / "skills" / "waiting" / "SKILL.md"
        skill.parent.mkdir(parents=True)
        skill.write_text(
            "---\nname: waiting\ndescription: When one waits.\n---\n\n## Steps\nWait.\n"
        )
        workspace.commit_evolution(None, "A skill by hand")


def waited(seconds: list[float], workers: int) -> float:
    """Return how long attempts take in lots, each of which waits for the one before."""
    lot = 2 * max(1, workers // 2)
    return sum(max(seconds[start : start + lot]) for start in range(0, len(seconds), lot))


def main() -> None:
    """Weigh, and print the three times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--median", type=float, default=4.0, help="seconds a solution sleeps")
    parser.add_argument("--spread", type=float, default=0.8, help="of the logarithm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sandbox", default="bubblewrap")
    asked = parser.parse_args()
    drawn, spread = random.Random(asked.seed), asked.spread / 2**0.5
    with tempfile.TemporaryDirectory() as folder:
        home, tasks = Path(folder) / "home", Path(folder) / "tasks"
        for number in range(asked.tasks):
            sleeps = asked.median * drawn.lognormvariate(0.0, spread)
            write_task(tasks / f"task-{number:02}", number, sleeps, spread)
        two_states(home)
        command = [sys.executable, "-m", "grindstone.flows.cli", "gate", "run"]
        command += ["--work-dir", str(home), "--agent-id", "skillbench", "--run-key", "gate"]
        command += ["--tasks-dir", str(tasks), "--native-profile", "oracle"]
        command += ["--baseline", "seed", "--candidate", "HEAD", "--sandbox", asked.sandbox]
        command += ["--gate-trials", str(asked.trials), "--max-workers", str(asked.workers)]
        command += ["--gate-early-stop", "false", "--roll-back", "false"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        made = Ledger(home).scan(Episode, "gate").collect()
        if len(made) != 2 * asked.tasks * asked.trials:
            sys.exit(f"{len(made)} attempts were made:\n{done.stderr[-3000:]}")
    made = made.sort("trial", "task_id", "arm").with_columns(
        (pl.col("ended_at") - pl.col("started_at")).dt.total_milliseconds().alias("ms")
    )
    seconds = [each / 1000 for each in made["ms"]]
    took = (made["ended_at"].max() - made["started_at"].min()).total_seconds()
    best = max(sum(seconds) / asked.workers, *seconds)
    print(f"{len(seconds)} attempts at {asked.workers} at once, {min(seconds):.1f} to ", end="")
    print(f"{max(seconds):.1f} s each")
    print(f"lot by lot        {waited(seconds, asked.workers):7.1f} s")
    print(f"none waits        {took:7.1f} s ({took / waited(seconds, asked.workers):.0%})")
    print(f"at best           {best:7.1f} s")


if __name__ == "__main__":
    main()
