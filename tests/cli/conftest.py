"""The command as a person runs it: a process of its own, judged by what it prints and returns."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from support.documented import Said, Session

COMMAND = Path(sys.executable).with_name("grindstone")


def grindstone(*arguments: str | Path, cwd: Path, **environment: str) -> Said:
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


class RealRun(NamedTuple):
    folder: Path
    done: Said
    key: str

    def __call__(self, *arguments: str | Path, **environment: str) -> Said:
        """Run a command on the run's home."""
        words = (*map(str, arguments), "--work-dir", "home")
        return Session(self.folder, COLUMNS="120").run(*words, **environment)


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Said]:
    """Run the command in an empty folder."""
    return lambda *arguments, **environment: grindstone(*arguments, cwd=tmp_path, **environment)


@pytest.fixture(scope="session")
def real_run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> RealRun:
    """One real grind with a comparison, offline, that all of the room's tests read."""
    folder = tmp_path_factory.mktemp("real-run")
    arguments = (
        *("grind", "--work-dir", "home", "--model-id", "rehearsal", "--run-key", "first"),
        *("--task-ids", "branch-sales", "--task-ids", "plain-inventory"),
        *(
            "--success-mode",
            "off",
            "--promotion-threshold",
            "2",
            "--compare",
            "true",
            "--max-workers",
            "2",
            "--json",
        ),
    )
    done = grindstone(*arguments, cwd=folder, PREFECT_API_URL=prefect_server)
    assert done.code == 0, done.err
    return RealRun(folder, done, "first")
