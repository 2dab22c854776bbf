"""Machines that share a home in object storage and a Prefect server, and nothing else.

Each has a cache, a Prefect home and a place for results of its own; they are folders of one machine
here, so what is shown is that no file of one is needed by another. `test_drill_fleet.py` has
machines in namespaces.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.fleet import GRINDSTONE, own_places, until
from support.kills import paid
from support.object_storage import Bucket, Spoiled, serving_s3
from support.wire_faults import WireFaults

from grindstone.competency import TrainingJobs
from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.login import VARIABLE, login
from grindstone.flows.serving.server import remembered
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode, Outcome
from grindstone.remote.place import folder_of
from grindstone.runs.home_check import check_home
from grindstone.runs.plan import open_workspace
from grindstone.runs.shared_budget import SharedBudget
from grindstone.settings import CompetencySettings

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow, pytest.mark.drill),
    pytest.mark.timeout(600),
]

TASKS = ("crlf-kit", "plain-inventory", "branch-sales", "lost-commit")


class Site(NamedTuple):
    """Where everything is, and who answers."""

    root: Path
    storage: Bucket
    address: str
    model_url: str

    def machine(self, name: str) -> dict[str, str]:
        """The environment of a machine, which has nothing at first."""
        own = self.root / name
        (own / "work").mkdir(parents=True, exist_ok=True)
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")},
            **self.storage.environment,
            **own_places(str(own)),
            "GRINDSTONE_REHEARSAL_URL": self.model_url,
        }

    def work(self, name: str) -> Path:
        """The folder in which a machine's processes run."""
        return self.root / name / "work"


class Machines(NamedTuple):
    """A site with a server, a worker beside it and a worker elsewhere."""

    site: Site
    api: dict[str, str]
    proxy: WireFaults
    first_worker: int  # its process
    second_worker: "subprocess.Popen[bytes]"

    def command(self, machine: str, *words: str) -> "subprocess.Popen[bytes]":
        """Start a command on a machine."""
        words = (words[0], "--work-dir", self.site.address, *words[1:])
        with (self.site.root / f"{machine}.log").open("wb") as log:
            return subprocess.Popen(
                [*GRINDSTONE, *words, "--model-id", "rehearsal", "--sandbox", "bubblewrap"],
                env=self.site.machine(machine) | self.api,
                cwd=self.site.work(machine),
                stdout=log,
                stderr=log,
            )


@pytest.fixture
def machines(
    tmp_path: Path, rehearsal_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machines]:
    with contextlib.ExitStack() as open_now:
        bucket = open_now.enter_context(serving_s3(tmp_path))
        storage = open_now.enter_context(Spoiled(bucket, rate=0.05, seed=3)).bucket
        proxy = open_now.enter_context(WireFaults(rehearsal_url))
        site = Site(tmp_path, storage, f"{bucket.url}/many", proxy.url)
        with monkeypatch.context() as there:
            there.setenv("GRINDSTONE_CACHE_DIR", site.machine("first")["GRINDSTONE_CACHE_DIR"])
            home = folder_of(site.address)  # the first machine's
        up = ("up", "--work-dir", site.address, "--port", str(free_port()), "--json")
        environ, where = site.machine("first"), site.work("first")
        done = subprocess.run(
            [*GRINDSTONE, *up], env=environ, cwd=where, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        down = [*GRINDSTONE, "down", "--work-dir", site.address]
        open_now.callback(subprocess.run, down, env=environ, cwd=where, check=False)
        api = {
            "PREFECT_API_URL": f"{json.loads(done.stdout)['ui_url'].rstrip('/')}/api",
            VARIABLE: login(home),
        }
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "grindstone"]
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, "--name", "second", "--limit", "1"],
                env=site.machine("second") | api | {"PREFECT_WORKER_QUERY_SECONDS": "2"},
                cwd=site.work("second"),
                stdout=log,
                stderr=log,
            )
        open_now.callback(worker.wait)
        open_now.callback(worker.terminate)
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "reader"))
        state = remembered(home)
        assert state is not None
        assert state.worker is not None
        yield Machines(site, api, proxy, state.worker.pid, worker)


def parent(machines: Machines, name: str) -> subprocess.Popen[bytes]:
    """Start the run, or go on with it, from a machine."""
    words = ["grind", "--run-key", "K", "--native-profile", "strands"]
    words += ["--task-skill-mode", "off", "--success-mode", "off", "--evolve-skills", "false"]
    words += ["--max-cycles", "1", "--batch-size", "4", "--dispatch", "deployment"]
    words += ["--slice-size", "1", "--max-slices", "2"]
    words += ["--max-tokens-total", "10000000", "--requests-per-minute", "6000"]
    words += [word for task in TASKS for word in ("--task-ids", task)]
    return machines.command(name, *words)


def runs_on(machines: Machines, name: str) -> list[int]:
    """The processes of flow runs on a machine."""
    mine = f"GRINDSTONE_CACHE_DIR={machines.site.root / name}/cache".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            if mine in content and b"PREFECT__FLOW_RUN_ID=" in content:
                found.append(int(path.parent.name))
    return found


def test_workers_and_parents_are_killed_and_each_attempt_is_made_and_paid_for_once(
    machines: Machines,
):
    site, proxy = machines.site, machines.proxy
    os.kill(machines.first_worker, signal.SIGSTOP)  # the second one has a slice before it does
    first = parent(machines, "third")
    asked_before = len(until(lambda: proxy.seen))
    os.kill(machines.first_worker, signal.SIGCONT)
    for pid in until(lambda: runs_on(machines, "second")):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ledger = Ledger(Home.at(site.address))
    until(lambda: ledger.rows(Episode, "K"))
    first.kill()
    first.wait()
    last = parent(machines, "fourth")  # it has nothing of the run
    assert last.wait(400) == 0, (site.root / "fourth.log").read_text()
    rows = ledger.rows(Episode, "K")
    assert sorted(row.task_id for row in rows) == sorted(TASKS)
    assert not [row for row in rows if row.outcome is Outcome.ERROR]
    asked = Counter(seen.digest for seen in proxy.seen)
    in_flight = 1  # of the slice that was killed
    assert len(proxy.seen) > asked_before
    assert paid(proxy.seen) - len(asked) <= in_flight
    home = Home.at(site.address)
    assert SharedBudget.is_kept(home.run("K"))
    assert not check_home(home).faults
    assert home.mirror is not None
    left = [entry.name for entry in home.mirror.store.listed("runs/K")]
    assert not [name for name in left if name.startswith("runs/K/attempts/")]
    made_at = [site.root / name / "cache" / "homes" for name in ("first", "second")]
    assert all(list(place.glob("*/tasks/*/*/task.toml")) for place in made_at), "both worked"


@pytest.mark.parametrize("moment", [2, 9], ids=["it is measured", "it has practised"])
def test_a_training_whose_machine_is_lost_is_gone_on_with_by_a_worker_that_has_nothing(
    machines: Machines, moment: int
):
    site, proxy = machines.site, machines.proxy

    def ordered_from(machine: str) -> None:
        """Have the agent scored, and its training sent to whichever worker."""
        words = ["compete", "--run-key", machine, "--agent-id", "new", "--min-episodes", "1"]
        words += ["--max-cycles", "1", "--train", "deployment", "--max-jobs", "1"]
        words += ["--task-ids", "crlf-kit", "--task-ids", "visitor-report"]
        assert machines.command(machine, *words).wait(300) == 0, (
            site.root / f"{machine}.log"
        ).read_text()

    os.kill(machines.first_worker, signal.SIGSTOP)  # the second one has it before it does
    ordered_from("third")
    before = len(proxy.seen)
    until(lambda: len(proxy.seen) >= before + moment)
    machines.second_worker.kill()
    for pid in runs_on(machines, "second"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    jobs = TrainingJobs(Home.at(site.address), "new")
    [lost] = jobs.pending()
    assert jobs.status(lost.job_id) == "running"
    asked_before = len(proxy.seen)
    os.kill(machines.first_worker, signal.SIGCONT)
    ordered_from("fourth")
    until(lambda: not jobs.pending())
    assert len(proxy.seen) > asked_before
    assert jobs.status(lost.job_id) in ("done", "unproven"), jobs.latest()[0].note
    home = Home.at(site.address)
    rows = [row for row in Ledger(home).rows(Episode) if row.agent_id == "new"]
    assert len({row.episode_id for row in rows}) == len(rows)
    assert not [row for row in rows if row.outcome is Outcome.ERROR]
    tags = open_workspace(CompetencySettings(work_dir=site.address, agent_id="new")).evolutions()
    assert len(tags) == 1, "it learned once"
    found = check_home(home)
    assert not found.faults
    in_flight = 2  # of the machine that was lost
    assert paid(proxy.seen) - found.calls <= in_flight, "the journals have all that was paid for"
