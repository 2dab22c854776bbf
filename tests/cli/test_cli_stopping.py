"""How a run's command ends that was stopped, or that could not go on."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import docker
import pytest
from pydantic import BaseModel, model_serializer

from grindstone.errors import InfrastructureError
from grindstone.flows.cli.stopping import Stopped, Stopping, stopping
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import utc_now
from grindstone.resources import bundled
from grindstone.sync import ender

COMMAND = (sys.executable, "-m", "grindstone.flows.cli")


async def lose_its_lock() -> None:
    end = ender("the run was called off")
    await asyncio.to_thread(end, "another machine has its lock")
    await asyncio.sleep(60)


def test_a_run_that_loses_what_it_holds_says_so_and_is_no_traceback():
    with pytest.raises(
        InfrastructureError, match="the run was called off: another machine has its lock"
    ):
        Stopping().run(lose_its_lock)


class Signalled(BaseModel):
    """As when a signal comes while Prefect's settings are read, which is part of its import."""

    @model_serializer
    def _told(self) -> str:
        assert threading.current_thread() is threading.main_thread()
        os.kill(os.getpid(), signal.SIGTERM)
        return ""


def test_a_signal_that_comes_while_prefect_is_loading_is_no_fault_of_anybodys():
    with pytest.raises(Stopped) as told, stopping():
        Signalled().model_dump()
    assert told.value.exit_code == 143


def test_a_signal_that_a_library_dropped_while_it_was_loading_begins_no_run():
    begun: list[str] = []

    async def work() -> None:
        begun.append("run")

    with pytest.raises(Stopped) as told, stopping() as stop:
        with contextlib.suppress(BaseException):
            Signalled().model_dump()
        stop.run(work)
    assert (told.value.exit_code, begun) == (143, [])


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_check_that_is_stopped_leaves_no_sandbox(tmp_path: Path, number: int, code: int):
    shutil.copytree(bundled("examples/tasks") / "plain-inventory", tmp_path / "tasks" / "slow")
    (tmp_path / "tasks" / "slow" / "solution" / "solve.sh").write_text("#!/bin/sh\nsleep 100\n")
    engine = docker.from_env()
    arguments = (*COMMAND, "check", "--sandbox", "docker", "--tasks-dir", "tasks")
    with subprocess.Popen(arguments, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        labels = {"label": f"dev.grindstone.pid={process.pid}"}
        while not engine.containers.list(filters=labels):
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1] == "Stopped."
        assert process.wait() == code
    assert not engine.containers.list(all=True, filters=labels)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_estimate_that_is_stopped_names_nothing_to_go_on_with(
    tmp_path: Path, prefect_server: str
):
    arguments = ("grind", "--estimate", "--model-id", "claude-opus-5-5", "--limit", "1")
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    with subprocess.Popen(
        (*COMMAND, *arguments), cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = ""
        while "Run grind-" not in told:
            told = process.stderr.readline()
            assert told
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait() == 143
    assert "Go on" not in rest
    assert rest.splitlines()[-1] == "Stopped."


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_viewer_that_ctrl_c_ends_did_what_was_asked(tmp_path: Path):
    row = RunRow(run_key="K", sequence=0, kind="grind", status="completed", at=utc_now())
    Ledger(tmp_path / "evolution_workdir").append([row], run_key="K")
    heeding = ("env", "--default-signal=INT")  # a shell's background job ignores it
    with subprocess.Popen(
        (*heeding, *COMMAND, "view", "--no-open"), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        while "Ctrl-C ends it" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        assert (process.stderr.read(), process.wait()) == ("", 0)
