"""How often git is started: each time costs a process, and what waits for it."""

import shutil
from pathlib import Path

import pytest

from grindstone.home import Home
from grindstone.resources import bundled
from grindstone.tasks.runtime import open_runtime
from grindstone.workspace import Workspace


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What git is asked from now on, a line each; git itself answers."""
    log = tmp_path / "asked"
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(git.parent), prepend=":")
    log.touch()
    return log


def test_what_a_commit_is_stays_known(tmp_path: Path, asked: Path):
    workspace = Workspace.create(tmp_path / "w", bundled("seed_workspaces/skillbench"))
    first = workspace.snapshot()
    before = asked.read_text()
    again = workspace.snapshot(first.commit)
    frozen = workspace.frozen(first.commit)
    assert (again, frozen.is_dir()) == (first, True)
    assert "rev-parse" in before
    assert "rev-parse" not in asked.read_text().removeprefix(before)


async def test_a_run_opens_its_workspace_once(tmp_path: Path, asked: Path):
    home = Home.at(tmp_path / "home")
    workspace = Workspace.create(home.workspace("a"), bundled("seed_workspaces/skillbench"))
    asked.write_text("")
    opened = {"home": home, "run_key": "r", "agent_id": "a", "sandbox": "bubblewrap"}
    async with open_runtime(**opened, workspace=workspace) as runtime:
        assert runtime.workspace is workspace
    assert asked.read_text() == ""
