"""`grindstone compete` and `grindstone route`, as processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import CompetencyRow
from grindstone.records import Episode, Purpose
from grindstone.resources import bundled
from grindstone.workspace import Workspace


def grindstone(*arguments: str, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grindstone.flows.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


@pytest.mark.commands
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("compete", "--base", "-1"), "--base"),
        (("compete", "--dependency", "sql-python"), "--dependency"),
        (("compete", "--target-index", "2"), "--target-index"),
        (("route", "a task", "--keywords", "sql"), "--keywords"),
        (("route", "a task", "--min-confidence", "nan"), "--min-confidence"),
    ],
)
def test_unusable_input_is_named_before_anything_starts(tmp_path: Path, arguments, named):
    done = grindstone(*arguments, "--work-dir", str(tmp_path / "home"))
    assert done.returncode == 2, done.stderr
    assert named in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_scoring_and_routing_from_the_command_line(tmp_path: Path, prefect_server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    ledger = Ledger(tmp_path)
    for agent, passed in (("ada", "log-analysis"), ("bob", "version-control")):
        seed = bundled("seed_workspaces/skillbench")
        Workspace.create(tmp_path / "agents" / agent / "workspace", seed)
        rows = [
            Episode(
                episode_id=f"{agent}-{category}-{k}",
                run_key="past",
                agent_id=agent,
                purpose=Purpose.TRAIN,
                task_id=f"t{k}",
                category=category,
                outcome="passed" if category == passed else "failed",
                started_at="2026-01-01T00:00:00Z",
                ended_at="2026-01-01T00:00:01Z",
            )
            for category in ("log-analysis", "version-control")
            for k in range(8)
        ]
        ledger.append(rows, run_key="past")
    home = ("--work-dir", str(tmp_path), "--model-id", "rehearsal")
    fields = ("--category", "log-analysis", "--category", "version-control")
    done = grindstone("compete", *home, *fields, "--agent-id", "ada", "--train", "queue", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["scorings"][0]["result"]["domains"] == pytest.approx(
        {"log-analysis": 9, "version-control": 1}
    )
    assert [job["domain"] for job in told["enqueued"]] == ["version-control"]
    assert told["jobs"][0]["status"] == "queued"
    assert len(ledger.rows(CompetencyRow, told["run_key"])) == 2

    members = ("--member", "ada", "--member", "bob")
    done = grindstone("route", "rescue a lost git branch", *home, *members, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["status"] == "decided"
    assert told["decision"]["member_name"] == "bob"
    assert told["decision"]["policy"] == "proceed"

    done = grindstone("route", "rescue a lost git branch", *home, "--member", "ada")
    assert done.returncode == 1
    assert "Status: escalated" in done.stdout
    assert "ada, 1.00 in version-control" in done.stdout

    done = grindstone("route", "rescue a lost git branch", *home, "--member", "adda")
    assert done.returncode == 2
    assert "adda is no agent of" in done.stderr
    assert "one of ada, bob" in done.stderr
