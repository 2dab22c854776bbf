"""`grindstone compete` and `grindstone route`."""

from pathlib import Path

import pytest
from support.documented import Session

from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import CompetencyRow
from grindstone.records import Episode, Purpose
from grindstone.resources import bundled
from grindstone.workspace import Workspace


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
    done = Session(tmp_path).run(*arguments, "--work-dir", str(tmp_path / "home"))
    assert done.code == 2, done.err
    assert named in done.err
    assert not (tmp_path / "home").exists()


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_scoring_and_routing_from_the_command_line(tmp_path: Path, prefect_server):
    session = Session(tmp_path, PREFECT_API_URL=prefect_server)
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
    done = session.run("compete", *home, *fields, "--agent-id", "ada", "--train", "queue", "--json")
    assert done.code == 0, done.err
    told = done.document
    assert told["scorings"][0]["result"]["domains"] == pytest.approx(
        {"log-analysis": 9, "version-control": 1}
    )
    assert [job["domain"] for job in told["enqueued"]] == ["version-control"]
    assert told["jobs"][0]["status"] == "queued"
    assert len(ledger.rows(CompetencyRow, told["run_key"])) == 2

    members = ("--member", "ada", "--member", "bob")
    done = session.run("route", "rescue a lost git branch", *home, *members, "--json")
    assert done.code == 0, done.err
    told = done.document
    assert told["status"] == "decided"
    assert told["decision"]["member_name"] == "bob"
    assert told["decision"]["policy"] == "proceed"

    done = session.run("route", "rescue a lost git branch", *home, "--member", "ada")
    assert done.code == 1
    assert "Status: escalated" in done.out
    assert "ada, 1.00 in version-control" in done.out

    done = session.run("route", "rescue a lost git branch", *home, "--member", "adda")
    assert done.code == 2
    assert "adda is no agent of" in done.err
    assert "one of ada, bob" in done.err


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_probe_that_a_wrong_model_kept_from_any_score_is_infrastructure(
    tmp_path: Path, prefect_server: str
):
    quick = {"PREFECT_API_URL": prefect_server, "GRINDSTONE_PATIENCE": '{"pause_s": 0}'}
    nobody = ("--model-id", "openai:some@http://127.0.0.1:9/v1", "--max-tokens-total", "1000000")
    only = ("--task-ids", "branch-sales", "--min-episodes", "1")
    done = Session(tmp_path, **quick).run("compete", *nobody, *only, "--work-dir", "home")
    assert done.code == 3, done.err
    assert "model_connection" in done.err
