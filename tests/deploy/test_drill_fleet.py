"""Four machines that share object storage and a Prefect server: killed at random, nothing is lost.

Each is a set of namespaces of its own. Slices' processes, whole machines and whoever drives the
run are killed at seeded moments, storage answers one request in twenty with 503, half of these
after it did what was asked. `make drills` makes 40 attempts, GRINDSTONE_DRILL_ATTEMPTS any other
number.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from support.fleet import Fleet, fleet, own_places, until
from support.namespaces import Machine, cannot_make_machines
from support.postgres import BINARIES

from grindstone.flows.deployment.deploying import client_of
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode
from grindstone.remote.store import Store
from grindstone.runs.home_check import check_home
from grindstone.runs.remote_lock import Holding

ATTEMPTS = int(os.environ.get("GRINDSTONE_DRILL_ATTEMPTS", "40"))
SEED = int(os.environ.get("GRINDSTONE_SEED", "1"))
WORKERS = ("first", "second", "third", "fourth")
AT_ONCE = 2
CALLS = 2 * ATTEMPTS
KILLS = max(1, ATTEMPTS // 100)
"""Of each kind."""
MERGED_FROM = 8
"""Parts of a table that an ended run leaves merged."""
GONE_S = 0.3
"""Until what was killed has let go of its connections."""

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow, pytest.mark.drill),
    pytest.mark.timeout(900 + 10 * ATTEMPTS),
    pytest.mark.skipif(bool(cannot_make_machines()), reason=cannot_make_machines()),
    pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server on this machine"),
]


class Drill:
    """A run on a fleet, with what is killed of it."""

    def __init__(self, made: Fleet) -> None:
        self.fleet = made
        self.chance = random.Random(SEED)
        self.workers = {name: made.worker(name) for name in WORKERS}
        made.wait_for_workers(len(WORKERS))
        self.parents = 0
        self.parent, self.process = self.begin()
        self.told: list[str] = []

    def begin(self) -> "tuple[Machine, subprocess.Popen[bytes]]":
        """Start the run, or go on with it, on a machine that has nothing of it."""
        self.parents += 1
        words = ("--run-key", "K", "--max-workers", str(AT_ONCE))
        return self.fleet.parent(f"parent-{self.parents}", ATTEMPTS, *words)

    def go(self) -> int:
        """Kill what is due until the run has ended; return its exit code."""
        kinds = ["slice", "machine", "parent"] * KILLS
        self.chance.shuffle(kinds)
        moments = sorted(self.chance.sample(range(2, CALLS - 4), len(kinds)))
        asking = [self.chance.random() < 0.5 for _ in kinds]
        due = list(zip(moments, kinds, asking, strict=True))
        while (code := self.process.poll()) is None:
            if due and self.fleet.model.asked >= due[0][0] and self.kill(*due[0][1:]):
                due.pop(0)
            time.sleep(0.1)
        assert not due, "it ended before all kills"
        return code

    def kill(self, kind: str, asking: bool) -> bool:
        """Kill something of a kind; False where there is nothing of it at the moment.

        Args:
            kind: A slice's process, a worker's machine, or the machine of who drives the run.
            asking: Whether a slice has to wait for the model.
        """
        if kind == "parent":
            if self.process.poll() is not None:
                return False
            self.parent.cut_power()
            self.process.wait()
            self.note(kind, self.parent.name, 0)
            self.parent, self.process = self.begin()
            return True
        busy = {name: found for name in WORKERS if (found := slices_on(self.workers[name]))}
        if asking:
            busy = {n: busy[n] for n in busy if self.fleet.model.asks(self.workers[n].address)}
        if not busy:
            return False
        name = self.chance.choice(sorted(busy))
        machine = self.workers[name]
        if kind == "slice":
            for pid in busy[name]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            machine.cut_power()
        time.sleep(GONE_S)
        self.note(kind, name, self.fleet.model.lose(machine.address))
        if kind == "machine":
            self.workers[name] = self.fleet.worker(name)
        return True

    def note(self, kind: str, name: str, lost: int) -> None:
        asked = self.fleet.model.asked
        self.told.append(f"after {asked} answers: {kind} {name}, {lost} in flight")
        print(f"{time.strftime('%H:%M:%S')} {self.told[-1]}", flush=True)


def slices_on(machine: Machine) -> list[int]:
    """The processes that make attempts on a machine."""
    found = []
    for pid, words in machine.processes().items():
        with contextlib.suppress(OSError):
            there = b"PREFECT__FLOW_RUN_ID=" in Path(f"/proc/{pid}/environ").read_bytes()
            if there and "prefect" in words:
                found.append(pid)
    return found


def test_machines_and_parents_are_killed_and_each_attempt_is_made_and_paid_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with fleet(tmp_path, spoiled=0.05, seed=SEED, answer_s=1.0) as made:
        began = time.monotonic()
        drill = Drill(made)
        code = drill.go()
        print(
            f"{ATTEMPTS} attempts in {time.monotonic() - began:.0f} s; {made.storage.passed} "
            f"requests to storage, {made.storage.spoiled} spoiled; {made.model.asked} answers"
        )
        assert code == 0, drill.parent.said("parent.log")
        for name, value in made.storage.bucket.environment.items():
            monkeypatch.setenv(name, value)
        for name, value in own_places(str(tmp_path / "reader")).items():
            monkeypatch.setenv(name, value)
        home = Home.at(made.address)
        paid_for_once(made, home)
        nothing_is_left(made, home, drill)


def paid_for_once(made: Fleet, home: Home) -> None:
    """Each attempt is in the ledger once with a score, and no answer was paid for without need."""
    assert made.storage.spoiled > ATTEMPTS / 10
    assert made.model.questions == CALLS
    assert not made.model.repeated()
    rows = Ledger(home).rows(Episode, "K")
    tasks = Counter(row.task_id for row in rows)
    assert len(tasks) == ATTEMPTS
    assert set(tasks.values()) == {1}
    assert all(row.passed for row in rows)
    assert len(Ledger(home).rows(CallRecord, "K")) == CALLS
    found = check_home(home)
    assert not found.faults
    assert found.calls == CALLS


def nothing_is_left(made: Fleet, home: Home, drill: Drill) -> None:
    """No process, sandbox, lease, part to be merged, or run that Prefect takes for alive."""
    until(lambda: all(quiet(machine) for machine in drill.workers.values()), 60)
    assert home.mirror is not None
    store: Store = home.mirror.store
    names = [entry.name for entry in store.listed("runs/K")]
    assert not [name for name in names if name.startswith(("runs/K/attempts/", "runs/K/slices/"))]
    lock = store.get("runs/K/lock")
    assert lock is not None
    assert not Holding.model_validate_json(lock).holder
    ledger = Ledger(home)
    for table in ("episodes", "trajectories", "trajectory_steps", "verdicts", "signals", "calls"):
        assert ledger.scan(table, "K").collect().height >= ATTEMPTS
        assert len(ledger.live_parts(table, "K")) < MERGED_FROM
    with client_of(made.environment) as client:

        def alive() -> list[str]:
            open_kinds = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
            wanted = FlowRunFilter(state=FlowRunFilterState(type=open_kinds))
            runs = client.read_flow_runs(flow_run_filter=wanted)
            return [f"{run.name}: {run.state_name}" for run in runs]

        with contextlib.suppress(AssertionError):
            until(lambda: not alive(), 120)
        assert not alive()


def quiet(machine: Machine) -> bool:
    """Whether a machine runs its worker alone."""
    return all(" worker start " in f" {words} " for words in machine.processes().values())
