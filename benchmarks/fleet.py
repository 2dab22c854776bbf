"""How much of the ideal a fleet of workers without a shared disk reaches, and what its parts cost.

    python benchmarks/fleet.py [--workers 1 2 4] [--attempts 16] [--at-once 4] [--answer-s 5]
    python benchmarks/fleet.py --workers 4 --growth 100 2000 --answer-s 1

Each worker is a machine of its own (namespaces; needs root and PostgreSQL), with nothing shared but
object storage and a Prefect server; the model takes the same time for each of an attempt's two
answers. The ideal is what the model's time alone comes to with all places busy: attempts x 2 x
answer / (workers x at once); --attempts is for each worker. Of a run it tells

    whole     seconds from the command to its end, and the ideal's share of it
    working   from the first question to the last answer, and the ideal's share of that
    per attempt: processor seconds of Prefect's server, of PostgreSQL, of storage (with the proxy
    before it), and of all else on this machine: workers, slices, sandboxes, whoever drives the run

and with --growth what an attempt takes in a run of so many. All of it shares this machine's
processors: where they are busy all the time, that is what bounds it, and the last column says how
busy. Read the processor seconds on a machine that does nothing else.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

from run_overhead import TICKS_S, used_by
from support.fleet import Fleet, fleet
from support.namespaces import cannot_make_machines
from support.postgres import BINARIES

ANSWERS = 2
"""Of the model, in an attempt."""
NAMES = ("prefect", "postgres", "storage", "else")


class Measured(NamedTuple):
    """One run."""

    attempts: int
    whole_s: float
    working_s: float
    used_s: dict[str, float]  # processor seconds by part


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--attempts", type=int, default=16, help="for each worker")
    parser.add_argument("--at-once", type=int, default=4, help="attempts of a slice")
    parser.add_argument("--answer-s", type=float, default=5.0)
    parser.add_argument("--servers", type=int, default=1, help="Prefect API processes")
    parser.add_argument("--growth", type=int, nargs="+", default=[], help="attempts of a run")
    arguments = parser.parse_args()
    if problem := cannot_make_machines() or ("" if BINARIES else "PostgreSQL is not here"):
        sys.exit(problem)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        answer_s, servers = arguments.answer_s, arguments.servers
        made = fleet(Path(folder), spoiled=0.0, seed=0, answer_s=answer_s, servers=servers)
        with made as found:
            run(found, arguments)


def run(found: Fleet, arguments: argparse.Namespace) -> None:
    heads = f"{'whole':>15}{'working':>15}" + "".join(f"{name:>10}" for name in NAMES)
    print(f"{'workers':>8}{'attempts':>9}{'ideal':>8}{heads}{'busy':>6}", flush=True)
    there = 0
    for workers in sorted(arguments.workers):
        for number in range(there, workers):
            found.worker(f"worker-{number}")
        there = workers
        found.wait_for_workers(there)
        for attempts in arguments.growth or [arguments.attempts * workers]:
            measured = one_run(found, attempts, arguments.at_once)
            places = workers * arguments.at_once
            show(workers, measured, attempts * ANSWERS * arguments.answer_s / places)


def one_run(found: Fleet, attempts: int, at_once: int) -> Measured:
    """Run so many attempts on the workers there are."""
    key = f"run-{found.model.asked}"
    before, asked = used(found), found.model.asked
    began = time.perf_counter()
    words = ("--run-key", key, "--agent-id", key, "--max-workers", str(at_once))
    parent, process = found.parent(key, attempts, *words)
    if code := process.wait():
        sys.exit(f"it ended with {code}: {parent.said('parent.log')[-2000:]}")
    whole_s = time.perf_counter() - began
    assert found.model.asked - asked == ANSWERS * attempts
    parent.cut_power()
    taken = {name: seconds - before[name] for name, seconds in used(found).items()}
    return Measured(attempts, whole_s, found.model.span_s(asked), taken)


def used(found: Fleet) -> dict[str, float]:
    """Return the processor seconds that each part has used so far."""
    parts = {
        "prefect": sum(sum(used_by(pid)) for pid in found.server),
        "postgres": sum(used_by(found.database.pid)),
        "storage": sum(used_by(found.storage.bucket.pid)) + time.process_time(),
    }
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    busy = sum(map(int, (*fields[:3], *fields[5:8]))) / TICKS_S
    return parts | {"else": busy - sum(parts.values())}


def show(workers: int, measured: Measured, ideal_s: float) -> None:
    row = f"{workers:8}{measured.attempts:9}{ideal_s:8.1f}"
    for seconds in (measured.whole_s, measured.working_s):
        row += f"{seconds:9.1f} {ideal_s / seconds:5.0%}"
    row += "".join(f"{measured.used_s[name] / measured.attempts:10.2f}" for name in NAMES)
    busy = sum(measured.used_s.values()) / measured.whole_s / (os.cpu_count() or 1)
    print(f"{row}{busy:6.0%}", flush=True)


if __name__ == "__main__":
    main()
