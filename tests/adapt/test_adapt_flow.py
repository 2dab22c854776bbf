"""Learning without labels, offline and whole: what it learns, sees, refuses and survives."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from support import harmful
from support.harmful import in_one_category, seed_that_holds_out
from support.wiretap import Body, Wiretap, role_of, spoken

from grindstone.flows.adapt import adapt
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import JudgeVerdictRow, SignalsRow, TrajectoryRow
from grindstone.ledger.tables.runs import (
    EglRow,
    EvolutionRow,
    GateDecisionRow,
    GatePairRow,
    PatternRow,
)
from grindstone.records import Episode, Purpose
from grindstone.resources import bundled
from grindstone.runs.progress import AttemptBegan, Note, Progress, watching
from grindstone.settings import AdaptiveSettings
from grindstone.workspace import Workspace

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

TWO_FIELDS = [
    *("crlf-kit", "visitor-report", "ledger-package"),
    *("lost-commit", "deleted-branch", "dropped-stash"),
]


def settings(home: Path, **more: Any) -> AdaptiveSettings:
    given = {"model_id": "rehearsal", "max_workers": 4, "max_cycles": 1}
    return AdaptiveSettings.model_validate({"work_dir": home, **given, **more})


def workspace_of(home: Path) -> Workspace:
    return Workspace.open(home / "agents" / "skillbench" / "workspace")


def copied_tasks(home: Path, *task_ids: str) -> Path:
    for task_id in task_ids:
        shutil.copytree(bundled("examples/tasks") / task_id, home / "tasks" / task_id)
    return home / "tasks"


async def test_skills_are_learned_without_labels_and_the_holdout_rises(
    tmp_path: Path, tap: Wiretap, prefect_server: str
):
    given = settings(tmp_path, task_ids=TWO_FIELDS, holdout_ratio=0.34, run_key="learn")
    told: list[Progress] = []
    with watching(told.append):
        done = await adapt(given, calibrate_judge=True)
    ledger, workspace = Ledger(tmp_path), workspace_of(tmp_path)
    first = next(n for n, each in enumerate(told) if isinstance(each, AttemptBegan))
    before = [each.text for each in told[:first] if isinstance(each, Note)]
    assert any("No task is sealed" in each and "no gain" in each for each in before)

    [decision] = ledger.rows(GateDecisionRow, "learn")
    assert decision.accepted
    assert decision.candidate_mean > decision.baseline_mean
    assert (decision.rule, decision.verdict) == ("higher", "accept")
    assert "higher while searching" in decision.reason, "two tasks are evidence of nothing"
    assert decision.n_pairs == 2

    names = workspace.library.names()
    assert set(names) == {"python2-era-builds", "git-lost-work"}
    assert len(names) <= given.max_skills
    for name in names:
        text = (workspace.root / "skills" / name / "SKILL.md").read_text()
        assert len(text) <= given.max_skill_chars
    assert "evo-1" in workspace.repository.tags()

    episodes = {row.episode_id: row for row in ledger.rows(Episode, "learn")}
    judged = ledger.rows(JudgeVerdictRow, "learn")
    adapting = {key for key, row in episodes.items() if row.purpose is Purpose.ADAPT}
    assert {row.episode_id for row in judged} == adapting
    assert adapting <= {row.episode_id for row in ledger.rows(SignalsRow, "learn")}
    assert set(episodes) == {row.episode_id for row in ledger.rows(TrajectoryRow, "learn")}
    patterns = ledger.rows(PatternRow, "learn")
    assert {row.category for row in patterns} == {"legacy-build", "version-control"}
    held = {row.task_id for row in ledger.rows(GatePairRow, "learn")}
    for pattern in patterns:
        assert len(pattern.task_ids) == 2
        assert not held & set(pattern.task_ids)
    [evolution] = ledger.rows(EvolutionRow, "learn")
    assert set(evolution.skills_added) == set(names)
    assert not held & set(evolution.task_ids)
    [egl] = ledger.rows(EglRow, "learn")
    assert (egl.new_skills, egl.tasks_solved, egl.egl) == (2, 0, None)

    assert done.judge is not None
    assert (done.judge.n, done.judge.agreement) == (4, 1.0)
    # Of a figure that the search met, everything that shows it says so.
    for shown in ("report.md", "report.json", "gate-cycle-1.md", "plots/gate-cycle-1.svg"):
        assert "while searching" in (done.folder / shown).read_text(), shown

    calls = len(tap.bodies)
    again = await adapt(given)
    assert len(tap.bodies) == calls, "a resumed run asks nothing again"
    assert again.report.gates == done.report.gates
    assert workspace.repository.tags() == workspace_of(tmp_path).repository.tags()


CANARY_TEST = """#!/bin/sh
mkdir -p /logs/verifier
echo "CANARY-OUTPUT expected 42"
echo 0.4242 > /logs/verifier/reward.txt
cat > /logs/verifier/ctrf.json <<'END'
{"results": {"tool": {"name": "t"}, "summary": {}, "tests": [
 {"name": "test_CANARY_NAME", "status": "failed", "message": "CANARY-MESSAGE"},
 {"name": "test_CANARY_OTHER", "status": "passed"}]}}
END
"""


async def test_no_label_reaches_judge_or_evolver(tmp_path: Path, tap: Wiretap, prefect_server: str):
    tasks = copied_tasks(tmp_path, "crlf-kit", "visitor-report")
    for folder in tasks.iterdir():
        (folder / "tests" / "test.sh").write_text(CANARY_TEST)
    blind = {"tasks_dir": tasks, "holdout_ratio": 0.0, "solver_proposed": True}
    done = await adapt(settings(tmp_path / "blind", run_key="blind", max_cycles=2, **blind))
    assert done.report.n_evolutions >= 1
    episodes = Ledger(tmp_path / "blind").rows(Episode, "blind")
    assert {row.reward for row in episodes} == {0.4242}, "there was something to leak"
    assert tap.of("judge")
    assert tap.of("evolver")
    for request in (*tap.of("judge"), *tap.of("evolver"), *tap.of("distillation")):
        assert "CANARY" not in request
        assert "0.42" not in request
        assert "failure class" not in request
    log = workspace_of(tmp_path / "blind").evolution_dir
    for path in log.rglob("*"):
        if path.is_file():
            assert b"CANARY" not in path.read_bytes(), path

    tap.bodies.clear()
    told = {"trajectory_only": False, "feedback_level": "full", "tasks_dir": tasks}
    await adapt(settings(tmp_path / "told", holdout_ratio=0.0, **told))
    assert not tap.of("judge")
    seen = "".join(tap.of("evolver"))
    for canary in ("CANARY-OUTPUT", "CANARY_NAME", "CANARY-MESSAGE", "0.424"):
        assert canary in seen, "with labels the evolver does see them: the test has teeth"


def unusable(body: Body) -> Response | None:
    """A judge that talks nonsense, exceeds its range, or says nothing, task by task."""
    if role_of(body) != "judge":
        return None
    text = json.dumps(body["messages"])
    verdict = {"category": "build", "outcome": "Done.", "failure_reason": "none"}
    if "Task crlf-kit" in text:
        return spoken([{"type": "text", "text": "banana \u2603 {"}])
    if "Task visitor-report" in text:
        return spoken([{"type": "text", "text": json.dumps(verdict | {"score": 42})}])
    if "Task ledger-package" in text:
        return spoken([])
    return Response("{}", 500, media_type="application/json")


async def test_an_unusable_judge_costs_no_episode_and_no_score(
    tmp_path: Path, tap: Wiretap, prefect_server: str
):
    tap.instead = unusable
    done = await adapt(
        settings(
            tmp_path, task_ids=[*TWO_FIELDS[:3], "plain-inventory"], holdout_ratio=0.0, run_key="j"
        )
    )
    assert done.report.status == "completed"
    ledger = Ledger(tmp_path)
    episodes = ledger.rows(Episode, "j")
    assert len(episodes) == 4
    assert all(row.score is not None and not row.error_cause for row in episodes)
    judged = {row.task_id: row for row in ledger.rows(JudgeVerdictRow, "j")}
    assert len(judged) == 4
    assert all(row.score is None and row.error for row in judged.values())
    assert "JSON" in judged["crlf-kit"].error
    assert "score" in judged["visitor-report"].error
    assert not ledger.rows(PatternRow, "j")
    assert not ledger.rows(EvolutionRow, "j")
    assert not workspace_of(tmp_path).evolutions()


async def test_a_harmful_skill_is_rolled_back_and_counts_for_nothing(
    tmp_path: Path, tap: Wiretap, prefect_server: str
):
    easy = {"plain-inventory", "errors-by-hour"}
    tasks = in_one_category(copied_tasks(tmp_path, *easy, "crlf-kit", "visitor-report"))
    seed = seed_that_holds_out(tasks, easy, 0.5)
    given = settings(
        tmp_path, tasks_dir=tasks, holdout_ratio=0.5, split_seed=seed, run_key="harm", max_cycles=3
    )
    tap.instead = harmful.evolver
    done = await adapt(given)

    ledger, workspace = Ledger(tmp_path), workspace_of(tmp_path)
    [decision] = ledger.rows(GateDecisionRow, "harm")
    assert not decision.accepted, decision
    assert (decision.baseline_mean, decision.candidate_mean) == (1.0, 0.0)
    seed_tree = workspace.snapshot("seed").tree
    assert workspace.snapshot().tree == seed_tree
    assert not list((workspace.root / "skills").glob("*/SKILL.md"))
    assert {"evo-1", "pre-evo-1", "rejected-evo-1"} <= set(workspace.repository.tags())
    assert [row.accepted for row in ledger.rows(EvolutionRow, "harm")].count(False) == 1
    assert {row.new_skills for row in ledger.rows(EglRow, "harm")} == {0}
    # It was weighed once; proposed again it was refused, and no attempt was paid for it.
    weighings = {row.cycle for row in ledger.rows(Episode, "harm") if row.purpose is Purpose.GATE}
    assert weighings == {1}
    proposals = [request for request in tap.of("evolver") if "Weighed and rejected" in request]
    assert proposals
    for request in proposals:
        assert "echo harm" in request
        assert not any(task_id in request for task_id in easy)
    refused = [each.rule for row in ledger.rows(EvolutionRow, "harm") for each in row.refusals]
    assert refused == ["rejected_before", "rejected_before"]
    assert done.report.learned == ()


def test_the_documented_settings_have_their_documented_defaults():
    given = AdaptiveSettings()
    documented = {
        "trajectory_only": True,
        "max_skills": 5,
        "evolve_skills": True,
        "evolve_prompts": True,
        "evolve_memory": True,
        "protect_skills": False,
        "solver_proposed": False,
        "prompt_only": False,
        "batch_size": 10,
        "holdout_ratio": 0.2,
        "egl_threshold": 0.05,
        "egl_window": 3,
    }
    assert {name: getattr(given, name) for name in documented} == documented
