"""What a run is called afterwards, and what the command that drove it says and returns."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.documented import Session

from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import Episode, Outcome, Purpose, utc_now
from grindstone.resources import bundled
from grindstone.sandbox.owner import this_process

COMMAND = str(Path(sys.executable).with_name("grindstone"))
OFFLINE = ("--model-id", "rehearsal", "--work-dir", "home")
server = [pytest.mark.server, pytest.mark.timeout(300)]


def state_of(home: Path, key: str | None = None) -> RunRow:
    return max(Ledger(home).rows(RunRow, key), key=lambda row: (row.at, row.sequence))


def tasks_with_a_broken_one(folder: Path) -> Path:
    for name in ("crlf-kit", "plain-inventory"):
        shutil.copytree(bundled("examples/tasks") / name, folder / name)
    (folder / "plain-inventory" / "task.toml").write_text('[agent\ntimeout_sec = "soon"\n')
    return folder


@pytest.mark.catalogue
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
class TestStopped:
    pytestmark = server

    def test_a_run_that_is_stopped_says_how_to_go_on(
        self, tmp_path: Path, prefect_server: str, number: signal.Signals
    ):
        arguments = ["grind", "--task-ids", "crlf-kit", *OFFLINE, "--success-mode", "off"]
        started = subprocess.Popen(
            [COMMAND, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PREFECT_API_URL": prefect_server},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        attempts = tmp_path / "home" / "runs"
        deadline = time.monotonic() + 120
        while not list(attempts.glob("*/attempts/*.commands")):  # an attempt is under way
            assert started.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        started.send_signal(number)
        out, err = started.communicate(timeout=60)
        assert (started.returncode, out) == (128 + number, ""), err
        assert "Traceback" not in err
        last = err.strip().splitlines()[-1]
        assert last.startswith("Stopped. Go on: grindstone grind --task-ids crlf-kit ")
        row = state_of(tmp_path / "home")
        assert (row.status, row.present_status) == ("interrupted", "interrupted")
        assert "grind, interrupted" in (attempts / row.run_key / "report.md").read_text()

        [again] = re.findall(r"Go on: grindstone (.*)", last)
        done = Session(tmp_path, PREFECT_API_URL=prefect_server).command(f"grindstone {again}")
        assert done.code == 0, done.err
        assert "Rehearsal: 1 of 1 task passed" in done.out
        assert state_of(tmp_path / "home", row.run_key).status == "completed"


@pytest.mark.commands
def test_a_run_whose_process_is_gone_is_broken_off(tmp_path: Path, command: Callable[..., Any]):
    me = this_process()
    dead = me._replace(started="1")  # this number belonged to a process of an earlier time
    ledger = Ledger(tmp_path / "evolution_workdir")
    for key, owner in (("alive", me), ("dead", dead)):
        row = RunRow(
            run_key=key,
            sequence=0,
            kind="grind",
            status="running",
            owner_host=owner.host,
            owner_pid=owner.pid,
            owner_started=owner.started,
            at=utc_now(),
        )
        ledger.append([row], run_key=key)
    assert "(grind, running)" in command("report", "alive").out
    assert "(grind, broken off)" in command("report", "dead").out
    assert json.loads(command("report", "dead", "--json").out)["status"] == "broken off"


@pytest.mark.commands
def test_the_latest_run_that_has_attempts_is_reported(tmp_path: Path, command: Callable[..., Any]):
    ledger = Ledger(tmp_path / "evolution_workdir")
    common = {"sequence": 0, "kind": "grind", "status": "completed", "at": utc_now()}
    ledger.append([RunRow(run_key="first", **common)], run_key="first")
    assert "Run `first`" in command("report").out
    episode = Episode(
        episode_id="e1",
        run_key="first",
        agent_id="a",
        purpose=Purpose.GRIND,
        task_id="t",
        task_digest="d",
        outcome=Outcome.FAILED,
        started_at=utc_now(),
        ended_at=utc_now(),
    )
    ledger.append([episode], run_key="first")
    later = common | {"status": "failed", "at": utc_now()}
    ledger.append([RunRow(run_key="second", **later)], run_key="second")
    assert "Run `first`" in command("report").out


@pytest.mark.server
@pytest.mark.timeout(300)
def test_a_broken_task_is_told_everywhere_until_it_is_accepted(
    tmp_path: Path, command: Callable[..., Any], prefect_server: str
):
    folder = tasks_with_a_broken_one(tmp_path / "tasks")
    seed = shutil.copytree(bundled("seed_workspaces/skillbench"), tmp_path / "seed")
    (seed / "skills" / "untold").mkdir()
    (seed / "skills" / "untold" / "SKILL.md").write_text("no head")
    flags = ("--tasks-dir", str(folder), *OFFLINE, "--run-key", "K", "--native-profile", "nop")
    flags += ("--seed-workspace", str(seed))
    once = ("--max-cycles", "1", "--evolve-skills", "false", "--task-skill-mode", "off")
    done = command("grind", *flags, *once, "--json", PREFECT_API_URL=prefect_server)
    assert done.code == 1, done.err
    [told] = done.document["left_out"]
    assert told.startswith("plain-inventory/task.toml: is not TOML")
    assert "Left out: plain-inventory/task.toml" in done.err
    assert "A skill that is offered to nobody: skills/untold/SKILL.md" in done.err
    written = (tmp_path / "home" / "runs" / "K" / "report.md").read_text()
    headline = written.splitlines()[0]
    assert headline.startswith("# Rehearsal: 0 of 1 task passed")
    assert headline.endswith("; 1 broken task left out")
    assert "## Left out" in written and "plain-inventory/task.toml" in written
    done = command("grind", *flags, *once, "--allow-broken", "true", PREFECT_API_URL=prefect_server)
    assert done.code == 0, done.err
    assert "1 broken task left out" in done.out


@pytest.mark.commands
@pytest.mark.parametrize("name", ["plain-inventory", "plain-*"])
def test_a_broken_task_that_is_asked_for_is_called_broken(
    tmp_path: Path, command: Callable[..., Any], name: str
):
    folder = tasks_with_a_broken_one(tmp_path / "tasks")
    done = command("check", "--tasks-dir", str(folder), "--task-ids", name)
    assert (done.code, done.out) == (2, "")
    assert f"{name}: is broken: plain-inventory/task.toml: is not TOML" in done.err


@pytest.mark.server
@pytest.mark.timeout(300)
def test_a_key_of_a_task_that_nothing_reads_is_told_as_the_run_starts(
    command, prefect_server: str, tmp_path: Path
):
    task = tmp_path / "tasks" / "crlf-kit"
    shutil.copytree(bundled("examples/tasks") / "crlf-kit", task)
    toml = task / "task.toml"
    toml.write_text(toml.read_text().replace("[agent]\n", "[agent]\ntimeout_secs = 5\n"))
    done = command(
        *("grind", *OFFLINE, "--tasks-dir", tmp_path / "tasks", "--max-cycles", "1"),
        *("--native-profile", "nop"),
        PREFECT_API_URL=prefect_server,
    )
    assert done.code == 0, done.err
    told = "crlf-kit/task.toml: agent.timeout_secs is no key of task.toml and has no effect; is"
    assert told in " ".join(done.err.split())
