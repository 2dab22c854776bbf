"""What it costs to send attempts to a work pool, beside making them in the run's own process.

    python benchmarks/dispatch.py [--attempts 20] [--workers 2] [--at-once 4]

A server and workers are started for a home of its own. Then the same grind of oracle attempts at a
task of a few milliseconds is run inline, in slices as a run cuts them, and in slices of one, which
is a flow run of the work pool for each attempt. It prints seconds in all and per attempt, and how
many slices were sent. Machines are noisy: compare within one run.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from attempt_overhead import prepare_image, write_task

WAYS = {
    "inline": ("--dispatch", "inline"),
    "slices": ("--dispatch", "deployment"),
    "slices of one": ("--dispatch", "deployment", "--slice-size", "1"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=4, help="attempts of a slice")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatch-") as folder:
        run(arguments, Path(folder))


def run(arguments: argparse.Namespace, folder: Path) -> None:
    tasks, home = folder / "tasks", folder / "home"
    first = write_task(tasks / "tiny-000")
    prepare_image(first)
    for number in range(1, arguments.attempts):
        shutil.copytree(first, tasks / f"tiny-{number:03}")
    print(f"{'':15}{'seconds':>9}{'a attempt':>11}{'slices':>8}")
    with deployed(home, arguments.workers) as environment:
        for way, words in WAYS.items():
            key = way.replace(" ", "-")
            began = time.perf_counter()
            grindstone(
                *("grind", "--work-dir", str(home), "--tasks-dir", str(tasks), "--run-key", key),
                *("--native-profile", "oracle", "--agent-id", key, "--sandbox", "docker"),
                *("--max-cycles", "1", "--batch-size", str(arguments.attempts)),
                *("--task-skill-mode", "off", "--success-mode", "off"),
                *("--max-workers", str(arguments.at_once), *words),
                environment=environment,
            )
            took = time.perf_counter() - began
            count = sent(environment, key)
            print(f"{way:15}{took:9.1f}{took / arguments.attempts:11.2f}{count:8}")


@contextlib.contextmanager
def deployed(home: Path, workers: int) -> Iterator[dict[str, str]]:
    """Bring a home up, with so many workers; yield what reaches its server."""
    from grindstone.flows.serving.addresses import free_port
    from grindstone.flows.serving.login import VARIABLE, login

    port = str(free_port())
    environment = os.environ | {"GRINDSTONE_WORK_DIR": str(home), "PREFECT_LOGGING_LEVEL": "ERROR"}
    grindstone("up", "--work-dir", str(home), "--port", port, environment=environment)
    environment |= {
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        VARIABLE: login(home),
    }
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "grindstone"]
    more = [
        subprocess.Popen(
            [*command, "--name", f"more-{number}"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(1, workers)
    ]
    try:
        time.sleep(20 if more else 0)  # until they have shown themselves
        yield environment
    finally:
        for worker in more:
            worker.terminate()
            worker.wait()
        grindstone("down", "--work-dir", str(home), environment=environment)


def sent(environment: dict[str, str], run_key: str) -> int:
    """Return how many slices a run has sent."""
    from grindstone.flows.serving.login import VARIABLE, as_header

    wanted = {
        "flow_runs": {"tags": {"all_": [f"run:{run_key}"]}},
        "flows": {"name": {"any_": ["slice"]}},
    }
    request = urllib.request.Request(
        f"{environment['PREFECT_API_URL']}/flow_runs/count",
        data=json.dumps(wanted).encode(),
        headers={"content-type": "application/json"} | as_header(environment[VARIABLE]),
    )
    with urllib.request.urlopen(request) as answer:
        return int(json.load(answer))


def grindstone(*words: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"grindstone {words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
