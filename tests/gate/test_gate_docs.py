"""docs/adapt.md: its commands of the gate run in the order shown, after an evolution."""

import re
import shlex
from pathlib import Path

import pytest
from support.documented import Session

from grindstone.resources import bundled
from grindstone.workspace import Workspace

PAGE = (Path(__file__).parents[2] / "docs" / "adapt.md").read_text("utf-8")
COMMANDS = re.findall(r"^    (grindstone (?:gate|skills) .+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
SHORTER = {
    "run": ("--task-ids", "plain-inventory", "--gate-trials", "1", "--model-id", "rehearsal"),
    "calibrate": ("--task-ids", "plain-inventory", "--repeats", "1", "--model-id", "rehearsal"),
}


@pytest.mark.catalogue(of="documents that are walked through")
@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_commands_run(
    tmp_path: Path, prefect_server: str, rehearsal_url: str, monkeypatch: pytest.MonkeyPatch
):
    session = Session(
        tmp_path, PREFECT_API_URL=prefect_server, GRINDSTONE_REHEARSAL_URL=rehearsal_url
    )
    monkeypatch.delenv("GRINDSTONE_WORK_DIR", raising=False)
    folder = tmp_path / "evolution_workdir" / "agents" / "skillbench" / "workspace"
    workspace = Workspace.create(folder, bundled("seed_workspaces/terminal"))
    with workspace.writing() as root:
        (root / "prompts" / "system.md").write_text("Work with care.\n")
        workspace.commit_evolution(1, "A shorter prompt")
    assert [line.split()[1] for line in COMMANDS] == ["skills", "gate", "gate"]
    for line in COMMANDS:
        _, name, verb, *more = shlex.split(line)
        done = session.run(name, verb, *more, *SHORTER.get(verb, ()))
        assert done.code == 0, (line, done.out, done.err)
