"""docs/competency.md: its code says what it says, and its commands run."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.agents import agent
from support.documented import Session

from grindstone.competency import CompetencyTracker
from grindstone.ledger import Ledger
from grindstone.records import Episode, Purpose

PAGE = (Path(__file__).parents[2] / "docs" / "competency.md").read_text("utf-8")
COMMANDS = re.findall(r"^(grindstone .+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
SCORE, LOOP, ROUTE = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
SHORTER = (
    *("--task-ids", "errors-by-hour", "--task-ids", "plain-inventory"),
    "--target-index",
    "0",
)


def test_the_scoring_code(capsys: pytest.CaptureFixture[str]):
    names: dict[str, object] = {}
    exec(SCORE, names)
    assert round(names["result"].index, 5) == 0.40424
    assert names["result"].weakest_domain() == "deployment"
    assert "deployment" in capsys.readouterr().out


def test_the_loops_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    tracker = CompetencyTracker(base=9, seed={"sql": 3})
    names = {"measure_python": lambda: 8.0, "tracker": tracker}
    exec(LOOP, names)
    names["loop"].stop()
    assert names["loop"].cycles[0].enqueued[0].domain == "sql"


def test_the_routers_code():
    def alice(task: str) -> SimpleNamespace:
        raise AssertionError("asked the wrong one")

    def bob(task: str) -> SimpleNamespace:
        return SimpleNamespace(content="PASS")

    names = {"alice_agent": alice, "bob_agent": bob, "strong": "a strong model"}
    exec(ROUTE, names)
    decision = names["decision"]
    said = (decision.member_name, decision.policy, decision.model_tier, decision.success)
    assert said == ("bob", "proceed", "standard", True)
    assert "# bob, proceed, standard" in ROUTE


@pytest.mark.catalogue(of="documents that are walked through")
@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands(
    tmp_path: Path, prefect_server: str, rehearsal_url: str, monkeypatch: pytest.MonkeyPatch
):
    """In the page's order, with two tasks and nothing to train; two agents have a record."""
    monkeypatch.delenv("GRINDSTONE_WORK_DIR", raising=False)
    session = Session(
        tmp_path, PREFECT_API_URL=prefect_server, GRINDSTONE_REHEARSAL_URL=rehearsal_url
    )
    home = tmp_path / "evolution_workdir"
    for name, outcome in (("gitta", "failed"), ("logan", "passed")):
        agent(home, name)
        rows = [
            Episode(
                episode_id=f"{name}-{k}",
                run_key="past",
                agent_id=name,
                purpose=Purpose.GRIND,
                task_id="t",
                category="log-analysis",
                outcome=outcome,
                started_at="2026-01-01T00:00:00Z",
                ended_at="2026-01-01T00:00:01Z",
            )
            for k in range(8)
        ]
        Ledger(home).append(rows, run_key="past")
    assert len(COMMANDS) == 6
    for line in COMMANDS:
        _, name, *more = shlex.split(line)
        done = session.run(name, *more, *(SHORTER if name == "compete" else ()))
        graded = "--check" in line  # and its check can fail: nobody is there who does the task
        assert done.code == graded, (line, done.out, done.err)
        if name == "route":
            expected = "failed" if graded else "decided" if "SQL" in line else "done"
            assert f"Status: {expected}" in done.out, line
            assert "Waiting" not in done.err


def test_the_documents_name_of_the_training_jobs(tmp_path):
    from grindstone.competency import CompetencyEval, TrainingJobManager

    jobs = TrainingJobManager(tmp_path, "ada")
    result = CompetencyEval({"sql": 4.0, "git": 9.0}, 10).run()
    (job,) = jobs.enqueue_from_competency(result)
    assert job.domain == "sql"
    assert jobs.enqueue_from_competency(result, leave_out=["git"]) == []
