"""`grindstone skills history` says what is in force, and how it came to be."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grindstone.flows.cli.app import app
from grindstone.resources import bundled
from grindstone.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(
        tmp_path / "agents" / "skillbench" / "workspace", bundled("seed_workspaces/skillbench")
    )
    with made.writing() as root:
        (root / "memory" / "note.md").write_text("one")
        made.commit_evolution(None, "Evolution 1: edit memory/note.md")
    return made


def said(tmp_path: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["skills", *arguments, "--work-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_who_only_reads_leaves_a_persons_change_where_it_is(tmp_path: Path, workspace: Workspace):
    page = workspace.root / "skills" / "skill-usage" / "SKILL.md"
    with page.open("a") as file:
        file.write("\nWritten by hand, not yet committed.\n")
    assert "Written by hand" in said(tmp_path, "show", "skill-usage")
    for command in ("list", "history"):
        said(tmp_path, command)
    assert "Written by hand" in page.read_text()
    workspace.repository.run("commit", "--all", "--message", "I know better")
    with Workspace.open(workspace.root).writing():
        assert "Written by hand" in page.read_text()


def test_history_tells_what_is_in_force_and_lists_rollbacks(tmp_path: Path, workspace: Workspace):
    said(tmp_path, "rollback", "pre-evo-1", "--reason", "on second thoughts")
    [head, evolution, undone] = said(tmp_path, "history").splitlines()
    assert "at (UTC)" in head
    assert evolution.startswith("evo-1") and "rejected" in evolution
    assert undone.startswith("rollback") and undone.endswith("Roll back to pre-evo-1")
    said(tmp_path, "rollback", "evo-1")
    lines = said(tmp_path, "history").splitlines()
    assert len(lines) == 1 + 3
    assert not any("rejected" in line for line in lines)
    listed = json.loads(said(tmp_path, "history", "--json"))
    assert [each["number"] for each in listed] == [1, None, None]
    assert [each["rejected"] for each in listed] == [False, False, False]
