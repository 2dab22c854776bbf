"""docs/grind.md: its commands and code run as they stand."""

import re
from pathlib import Path

import pytest
from support.documented import Session

from grindstone.report.model import RunReport

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "grind.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
CODE = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


@pytest.mark.catalogue(of="documents that are walked through")
@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_its_commands_run_in_its_order(prefect_server, rehearsal_url, tmp_path: Path):
    session = Session(
        tmp_path, PREFECT_API_URL=prefect_server, GRINDSTONE_REHEARSAL_URL=rehearsal_url
    )
    assert len(COMMANDS) >= 11
    for line in COMMANDS:
        done = session.command(line)
        assert done.code == 0, (line, done.err)
    assert (tmp_path / "report.html").is_file()
    assert {path.name for path in (tmp_path / "only-data").iterdir()} == {"csv", "atif"}
    kept = tmp_path / "evolution_workdir" / "runs"
    compared = RunReport.model_validate_json((kept / "compared" / "report.json").read_text())
    assert compared.comparison is not None
    assert compared.comparison.trials == 2


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_its_code_runs(prefect_server, tmp_path: Path, monkeypatch, capsys):
    loop, once = CODE
    for name in ("seed_workspaces", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    exec(compile(loop, "docs/grind.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1] == "1.0 False"
    exec(compile(once, "docs/grind.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1].startswith("False [")
    assert (tmp_path / "evolved" / "agents" / "skillbench").is_dir()
