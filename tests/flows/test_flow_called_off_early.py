"""A run that is called off before its first attempt says how to go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grindstone.home import Home
from grindstone.runs.turns import AgentTurn

COMMAND = Path(sys.executable).with_name("grindstone")


@pytest.mark.server
@pytest.mark.timeout(120)
def test_ctrl_c_while_it_waits_for_its_agent(tmp_path: Path, prefect_server: str):
    turn = AgentTurn(Home.at(tmp_path), "fred", "first")
    assert turn.take()
    words = ("grind", "--agent-id", "fred", "--model-id", "rehearsal", "--task-ids", "crlf-kit")
    with subprocess.Popen(
        [COMMAND, *words, "--run-key", "mine", "--work-dir", str(tmp_path)],
        env=os.environ | {"PREFECT_API_URL": prefect_server},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "first" in line:  # for whom it waits
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr.read()
    assert process.returncode == 130, said
    assert "Stopped. Go on: grindstone grind --agent-id fred" in said
    assert said.rstrip().endswith("--run-key mine")
