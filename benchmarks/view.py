"""How fast the viewer lists, searches and opens in a home of many attempts, and what a page takes.

Writes a home as runs write it, a part per attempt and table, serves it by `grindstone view`
and drives it with a headless Chromium. Seconds are from asking for a page to its being there.

    python benchmarks/view.py --home /tmp/large --attempts 10000 --steps 30
"""

import argparse
import contextlib
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grindstone.ledger import Ledger
from grindstone.ledger.compaction import compact
from grindstone.ledger.tables.attempts import SkillUseRow, trajectory_rows, verdict_rows
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import (
    Episode,
    Outcome,
    Purpose,
    Step,
    StepKind,
    StopReason,
    TestResult,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
    Verdict,
)

LONG = 2000
"""Steps of the one attempt that is longer than all others."""

NEEDLE = "unheard-of-word"
START = datetime(2026, 1, 1, tzinfo=UTC)
LINES = (
    "drwxr-xr-x 2 root root 4096 Nov 21 02:00 data",
    "Collecting package metadata: done",
    "gcc -O2 -Wall -c parser.c -o build/parser.o",
    "row 1204: 17.25;closed;2031-04-05;north",
    "warning: unused variable 'count' [-Wunused-variable]",
    "tests/test_reader.py::test_header PASSED",
)


def conversation(chance: random.Random, steps: int) -> Trajectory:
    made = [Step(index=0, kind=StepKind.USER, message="Mend the build.", at=START)]
    for index in range(1, steps):
        call = ToolCall(call_id="c", name="bash", arguments={"command": f"make step-{index}"})
        content = "\n".join(chance.choices(LINES, k=12))
        code = int(chance.random() < 0.2)
        gave = ToolOutput(call_id="c", content=content, exit_code=code, duration_s=0.4)
        made.append(
            Step(
                index=index,
                kind=StepKind.AGENT,
                message="I go on.",
                calls=(call,),
                outputs=(gave,),
                usage=Usage(input_tokens=2000 + 40 * index, output_tokens=60),
                at=START + timedelta(seconds=index),
            )
        )
    return Trajectory(steps=tuple(made), stop_reason=StopReason.SUBMITTED)


def keep(ledger: Ledger, run_key: str, number: int, trajectory: Trajectory, minute: int) -> str:
    key = f"{run_key}-{number:04d}"
    passed = number % 3 > 0
    began = START + timedelta(minutes=minute)
    episode = Episode(
        episode_id=key,
        run_key=run_key,
        agent_id="ada",
        purpose=Purpose.GRIND,
        task_id=f"task-{number:04d}",
        category=f"category-{number % 7}",
        model="messages:some",
        profile="strands",
        cycle=1,
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        failure_class="none" if passed else "test_fail",
        reward=float(passed),
        score=float(passed),
        tests_passed=int(passed),
        tests_total=1,
        turns=len(trajectory.steps),
        usage=trajectory.usage,
        cost_usd=0.1,
        stop_reason="submitted",
        started_at=began,
        ended_at=began + timedelta(seconds=40),
    )
    whole, steps = trajectory_rows(key, trajectory)
    tests = (TestResult(name="test_build", status="passed" if passed else "failed"),)
    row, results = verdict_rows(key, Verdict(reward=float(passed), passed=passed, tests=tests))
    use = SkillUseRow(episode_id=key, skill="builds", loaded=passed)
    for rows in ([whole], steps, [row], results, [use], [episode]):
        ledger.append(rows, run_key=run_key)
    return key


def write_home(home: Path, attempts: int, steps: int, runs: int) -> None:
    """Write the home unless it is there."""
    if (home / "written").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    chance = random.Random(7)
    ledger = Ledger(home)
    for number in range(runs):
        run_key = f"run-{number:03d}"
        state = {"run_key": run_key, "kind": "grind", "agent_id": "ada", "model": "messages:some"}
        at = START + timedelta(days=number)
        begun = RunRow(sequence=0, status="running", at=at, **state)
        ended = RunRow(sequence=1, status="completed", at=at + timedelta(hours=2), **state)
        ledger.append([begun], run_key=run_key)
        for each in range(attempts // runs):
            keep(ledger, run_key, each, conversation(chance, steps), 1440 * number + each)
        ledger.append([ended], run_key=run_key)
    last = conversation(chance, LONG)
    step = last.steps[-1]
    said = step.model_copy(update={"message": f"The {NEEDLE} is here."})
    last = last.model_copy(update={"steps": (*last.steps[:-1], said)})
    keep(ledger, f"run-{runs - 1:03d}", 9999, last, 1440 * runs)
    (home / "written").touch()


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "grindstone.flows.cli", "view", "--no-open"]
    process = subprocess.Popen(
        [*command, "--work-dir", str(home)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        yield process.stderr.readline().split()[1]
    finally:
        process.terminate()
        process.wait()


def resident_mb(browser: Any, page: Any) -> float:
    """Return what the page's process holds of its own, MB: without the browser's program.

    Garbage of the pages before is collected first; else the figure is the pages' together.
    """
    own = page.context.new_cdp_session(page)
    own.send("HeapProfiler.collectGarbage")
    own.detach()
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    sizes = []
    for process in processes:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text()
            sizes.append(int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
    return max(sizes)


def drive(entry: str, runs: int, rounds: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    base, last = entry.partition("#")[0], f"run-{runs - 1:03d}"
    pages = {
        "runs": ("/", "tbody tr"),
        "run": (f"/run/{last}", "tbody tr"),
        "attempt": (f"/episode/{last}-0003", ".turn pre"),
        "attempt_of_2000_steps": (f"/episode/{last}-9999", ".turn pre"),
        "all_its_steps_drawn": (f"/episode/{last}-9999", "#turn-1999"),
        "pair": (f"/pair/{last}-0003/{last}-0004", ".sides > section"),
        "diff": (f"/diff/run-000/{last}", "tbody tr"),
        "trends": ("/trends", "svg circle"),
        "search_in_all_runs": (f"/search?text={NEEDLE}", ".found mark"),
        "search_of_a_common_word": ("/search?text=step-17&run=" + last, ".found mark"),
    }
    told: dict[str, Any] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        began = time.perf_counter()
        page.goto(entry)
        page.locator("tbody tr").first.wait_for()
        told["first_list_s"] = round(time.perf_counter() - began, 2)
        memory = 0.0
        for name, (place, sign) in pages.items():
            times = []
            for _ in range(rounds):
                page.goto("about:blank")
                began = time.perf_counter()
                page.goto(f"{base}#{place}")
                page.locator(sign).first.wait_for(state="attached")
                times.append(time.perf_counter() - began)
            told[f"{name}_mb"] = round(resident_mb(browser, page))
            memory = max(memory, told[f"{name}_mb"])
            told[f"{name}_s"] = round(statistics.median(times), 2)
            told[f"{name}_first_s"] = round(times[0], 2)
        page.goto(f"{base}#/episode/{last}-9999")
        page.get_by_role("button", name="Unfold all").click()
        page.locator(".turn pre.gave").nth(1900).wait_for(state="attached")
        told["all_2000_unfolded_mb"] = round(resident_mb(browser, page))
        told["most_mb"] = round(memory)
        browser.close()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--attempts", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--merge", action="store_true", help="merge each run's parts first")
    given = parser.parse_args()
    began = time.perf_counter()
    write_home(given.home, given.attempts, given.steps, given.runs)
    written = round(time.perf_counter() - began)
    if given.merge:
        for number in range(given.runs):
            compact(Ledger(given.home), f"run-{number:03d}", grace_s=0)
    with served(given.home) as entry:
        told = drive(entry, given.runs, given.rounds)
    shape = {"attempts": given.attempts, "steps": given.attempts * given.steps + LONG}
    print(json.dumps(shape | {"written_s": written} | told, indent=1))


if __name__ == "__main__":
    main()
