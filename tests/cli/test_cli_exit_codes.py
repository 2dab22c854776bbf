"""0: did what was asked; 1: the answer is no; 2: wrong input; 3: infrastructure."""

import json
import shutil
from pathlib import Path

import pytest
import typer

from grindstone.flows.cli.output import finish_run
from grindstone.report.model import RunReport, Spoiled

pytestmark = pytest.mark.commands

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "tasks"
NOWHERE = "tcp://127.0.0.1:1"


def test_an_unknown_flag_is_wrong_usage(command):
    done = command("grind", "--no-such-flag")
    assert (done.code, done.out) == (2, "")
    assert "--no-such-flag" in done.err


@pytest.mark.parametrize("name", ["report", "episodes", "skills list", "skills show x"])
def test_a_home_without_runs_is_said_plainly(command, name):
    done = command(*name.split())
    assert done.code == (0 if name == "episodes" else 2)
    assert done.out == ("No attempts yet.\n" if name == "episodes" else "")
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["grind", "runs", "episodes", "exam list", "audit verify"])
def test_a_home_that_is_a_file_is_wrong_input(command, tmp_path: Path, name: str):
    (tmp_path / "file").touch()
    done = command(*name.split(), "--work-dir", "file")
    assert done.code == 2, done
    assert "is a file" in done.err


def test_an_unknown_run_is_wrong_input(command, tmp_path: Path):
    done = command("report", "nothing", "--json")
    assert done.code == 2
    assert "nothing: is no run of this home" in done.document["error"]["message"]


@pytest.mark.server
@pytest.mark.timeout(300)
def test_wrong_names_on_a_real_home(real_run, tmp_path: Path):
    bad = {
        ("report", "first", "--export", str(tmp_path), "--format", "docx"): "--format",
        ("report", "second"): "is no run of this home (first)",
        ("episodes", "zzz"): "names no attempt",
        ("episodes", ""): "fits",
        ("skills", "show", "no-such-skill"): "no-such-skill",
        ("skills", "rollback", "evo-99"): "evo-99",
    }
    for arguments, said in bad.items():
        done = real_run(*arguments)
        assert (done.code, done.out) == (2, ""), (arguments, done)
        assert said.split()[0] in done.err, (arguments, done.err)
        assert "Traceback" not in done.err


@pytest.mark.server
@pytest.mark.timeout(300)
def test_a_damaged_ledger_is_infrastructure(real_run, tmp_path: Path):
    shutil.copytree(real_run.folder / "home", tmp_path / "home", symlinks=True)
    part = next((tmp_path / "home" / "ledger" / "episodes" / "run=first").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-20])
    done = real_run._replace(folder=tmp_path)("report", "first")
    assert (done.code, done.out) == (3, "")
    assert part.name in done.err
    assert "damaged" in done.err


@pytest.mark.server
@pytest.mark.timeout(300)
def test_a_ceiling_ends_a_run_in_order(command, prefect_server):
    done = command(
        *("grind", "--model-id", "rehearsal", "--task-ids", "plain-inventory", "--json"),
        *("--max-tokens-total", "1"),
        PREFECT_API_URL=prefect_server,
    )
    assert done.code == 1, done.err
    assert done.document["status"] == "stopped"
    assert "max_tokens_total" in done.err or "tokens" in done.err


@pytest.mark.server
@pytest.mark.timeout(300)
def test_an_engine_that_is_not_there_is_infrastructure(command, prefect_server):
    arguments = ("--sandbox", "docker", "--task-ids", "plain-inventory", "--json")
    for name in ("grind", "check"):
        done = command(name, *arguments, DOCKER_HOST=NOWHERE, PREFECT_API_URL=prefect_server)
        assert done.code == 3, (name, done)
        assert done.document["error"]["kind"] == "infrastructure"
        assert done.err.splitlines()[-1].startswith("grindstone: "), done.err


@pytest.mark.parametrize(
    ("spoiled", "status", "code"),
    [(0, "completed", 0), (1, "completed", 0), (2, "completed", 3), (2, "stopped", 1)],
)
def test_a_run_of_which_no_attempt_has_a_score_is_infrastructure(
    spoiled: int, status: str, code: int
):
    one = Spoiled(
        episode_id="e", task_id="t", cycle=1, cause="model_rejected", detail="no such key"
    )
    report = RunReport(run_key="K", status=status, n_attempts=2, errors=(one,) * spoiled)
    try:
        finish_run(report)
    except typer.Exit as ended:
        assert ended.exit_code == code
    else:
        assert code == 0


def test_check_says_no_to_a_folder_that_is_no_task(command, tmp_path: Path):
    tasks = tmp_path / "tasks"
    shutil.copytree(EXAMPLES / "plain-inventory", tasks / "whole")
    shutil.copytree(EXAMPLES / "plain-inventory", tasks / "broken")
    (tasks / "broken" / "tests" / "test.sh").unlink()
    done = command("check", "--tasks-dir", tasks, "--task-ids", "whole", "--json")
    assert done.code == 2, done.err
    assert "broken/tests/test.sh" in done.document["broken"][0]


@pytest.mark.timeout(120)
def test_check_answers_yes_and_no(command, tmp_path: Path):
    assert command("check", "--task-ids", "plain-inventory", "--json").code == 0
    shutil.copytree(EXAMPLES / "plain-inventory", tmp_path / "tasks" / "easy")
    (tmp_path / "tasks" / "easy" / "solution" / "solve.sh").write_text("#!/bin/sh\nexit 0\n")
    done = command("check", "--tasks-dir", "tasks", "--json")
    assert done.code == 1, done.err
    (report,) = next(iter(done.document["reports"].values()))
    assert (report["task_id"], report["ok"]) == ("easy", False)


def test_a_skill_is_checked_against_the_format(command, tmp_path: Path):
    good = tmp_path / "csv-data"
    good.mkdir()
    file = good / "SKILL.md"
    file.write_text("---\nname: csv-data\ndescription: Use when a CSV is read.\n---\n\nText.\n")
    assert command("skills", "validate", good).code == 0
    assert command("skills", "validate", file, "--json").document == []
    file.write_text("---\nname: other\ndescription: Use when a CSV is read.\n---\n\nText.\n")
    done = command("skills", "validate", good, "--json")
    assert done.code == 1
    assert "name" in json.dumps(done.document)
    assert command("skills", "validate", tmp_path / "nothing").code == 2
