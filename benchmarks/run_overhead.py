"""What a command costs besides its attempts: by the clock, and in processor time, by phase.

    python benchmarks/run_overhead.py [--rounds 3] [--beside PYTHON] [--only grind]

It runs whole commands, one task with the rehearsal model, which answers at once:

    alone       no server is up; the home's first run
    again       no server is up; the home has runs
    with up     `grindstone up` holds a server for the home

Phases end where the command says something: "Prefect: …" (what was imported and looked at, and
the server that was found or started), "Run …" (the flow was imported and its run created), the
attempt's line, "Report: …" (the run is closed, its report and artifacts written, a server of its
own ended), and the end of the process. Processor time is that of the command and of all it
started, Docker's engine aside. Then commands that need no Prefect.

--beside names the interpreter of another installation, which is measured in turns with this one.
Machines are noisy: read processor time, and ratios within one run.
"""

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PHASES = {
    "server": "Prefect: ",
    "begin": "Run ",
    "attempt": ("✓", "✗", "·", "!"),
    "report": "Report: ",
    "end": None,
}
_TIME = re.compile(r"\d\d:\d\d:\d\dZ ")
"""What a run's lines begin with in a pipe."""
GRIND = ("grind", "--limit", "1", "--max-cycles", "1", "--model-id", "rehearsal")
LIGHT = {
    "--version": ("--version",),
    "--help": ("--help",),
    "grind --help": ("grind", "--help"),
    "runs": ("runs",),
    "episodes": ("episodes",),
    "skills list": ("skills", "list"),
    "report": ("report",),
    "check --help": ("check", "--help"),
}
TICKS_S = os.sysconf("SC_CLK_TCK")


class Moment(NamedTuple):
    """Seconds since the command began, and processor seconds it and its like had used."""

    clock: float
    own: float
    others: float


Cells = dict[tuple[str, str], list[Moment]]
"""What each phase took, once a round, by mode and phase."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", help="the interpreter of another installation")
    parser.add_argument("--only", choices=("grind", "light"), help="one half of it")
    given = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each command compiles Prefect anew
    pythons = {"this": sys.executable} | ({"beside": given.beside} if given.beside else {})
    with tempfile.TemporaryDirectory(prefix="run-overhead-") as folder:
        homes = {name: Path(folder) / name for name in pythons}
        if given.only != "light":
            grinds(pythons, homes, given.rounds)
        if given.only != "grind":
            light(pythons, homes, given.rounds)


def grinds(pythons: dict[str, str], homes: dict[str, Path], rounds: int) -> None:
    found: dict[str, Cells] = {name: {} for name in pythons}
    for number in range(rounds + 1):  # the first fills caches: images, bytecode, the database
        for name, python in pythons.items():
            here = homes[name].with_name(f"{name}-{number}")
            measured = {
                "alone": timed(python, (*GRIND, "--work-dir", str(here))),
                "again": timed(python, (*GRIND, "--work-dir", str(here))),
            }
            with server(python, here):
                measured["with up"] = timed(python, (*GRIND, "--work-dir", str(here)))
            homes[name] = here
            for mode, phases in measured.items() if number else ():
                for phase, took in phases.items():
                    found[name].setdefault((mode, phase), []).append(took)
    for name, cells in found.items():
        show(name, cells)


def timed(python: str, arguments: tuple[str, ...]) -> dict[str, Moment]:
    """Run a grind; return what each phase took, and the whole."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [python, "-P", "-m", "grindstone.flows.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    assert process.stderr is not None
    ends: dict[str, Moment] = {}
    said = []
    for line in process.stderr:
        said.append(line)
        told = _TIME.sub("", line, count=1)
        for phase, mark in PHASES.items():
            if mark is not None and phase not in ends and told.startswith(mark):
                ends[phase] = Moment(time.perf_counter() - began, *used_by(process.pid))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or set(PHASES) - set(ends) != {"end"}:
        sys.exit(f"{' '.join(arguments)} came to {process.returncode}:\n{''.join(said)}")
    total = usage.ru_utime + usage.ru_stime
    whole = Moment(time.perf_counter() - began, ends["report"].own, total - ends["report"].own)
    found, before = {}, Moment(0, 0, 0)
    for phase in PHASES:
        after = ends.get(phase, whole)
        found[phase] = Moment(*(late - early for late, early in zip(after, before, strict=True)))
        before = after
    return found | {"whole": whole}


def used_by(pid: int) -> tuple[float, float]:
    """Return the processor seconds of a process, and of those it started, dead and alive."""
    own, reaped = times_of(pid)
    return own, reaped + sum(sum(used_by(child)) for child in children_of(pid))


def times_of(pid: int) -> tuple[float, float]:
    """Return the processor seconds of a process and of the children it waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    user, system, waited_user, waited_system = (int(field) / TICKS_S for field in fields[11:15])
    return user + system, waited_user + waited_system


def children_of(pid: int) -> list[int]:
    """Return the processes a process has started and not waited for."""
    found = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


@contextlib.contextmanager
def server(python: str, home: Path) -> Iterator[None]:
    """Hold a server of a home up."""
    command = [python, "-P", "-m", "grindstone.flows.cli"]
    with socket_free() as port:
        pass
    done = subprocess.run(
        [*command, "up", "--work-dir", str(home), "--port", str(port)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    try:
        yield
    finally:
        subprocess.run(
            [*command, "down", "--work-dir", str(home)], capture_output=True, check=False
        )


@contextlib.contextmanager
def socket_free() -> Iterator[int]:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])


def show(name: str, cells: Cells) -> None:
    print(f"\n{name}: seconds by the clock; processor seconds of the command + of what it started")
    print(f"{'':10}" + "".join(f"{phase:>22}" for phase in (*PHASES, "whole")))
    for mode in dict.fromkeys(mode for mode, _ in cells):
        row = f"{mode:10}"
        for phase in (*PHASES, "whole"):
            clock, own, others = map(statistics.median, zip(*cells[mode, phase], strict=True))
            row += f"{clock:10.2f}; {own:4.2f} +{others:4.2f}"
        print(row)


def light(pythons: dict[str, str], homes: dict[str, Path], rounds: int) -> None:
    for name, python in pythons.items():
        if not homes[name].exists():
            timed(python, (*GRIND, "--work-dir", str(homes[name])))
    print(f"\n{'seconds; processor s':22}" + "".join(f"{name:>16}" for name in pythons))
    for title, arguments in LIGHT.items():
        row = f"{title:22}"
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in pythons}
        for _ in range(rounds + 1):
            for name, python in pythons.items():
                found[name].append(light_once(python, arguments, homes[name]))
        for measured in found.values():
            clock, used = map(statistics.median, zip(*measured[1:], strict=True))
            row += f"{clock:10.2f}; {used:4.2f}"
        print(row)


def light_once(python: str, arguments: tuple[str, ...], home: Path) -> tuple[float, float]:
    began = time.perf_counter()
    bare = arguments[-1].startswith("-")
    process = subprocess.Popen(
        [
            *(python, "-P", "-m", "grindstone.flows.cli", *arguments),
            *(() if bare else ("--work-dir", str(home))),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)} came to {process.returncode}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
