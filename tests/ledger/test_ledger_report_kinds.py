"""What a report says of runs that grind nothing: each is told as what it was."""

from datetime import UTC, datetime, timedelta

import pytest

from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.releases import ReleaseRow
from grindstone.ledger.tables.runs import EvolutionRow, GateDecisionRow, RunRow, SkillRow
from grindstone.records import Arm, Episode, Outcome, Purpose
from grindstone.report.markdown import render_markdown
from grindstone.report.run_report import build_report

RUN = "demo"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def begun(ledger: Ledger, kind: str) -> None:
    row = RunRow(run_key=RUN, sequence=0, kind=kind, status="completed", at=START)
    ledger.append([row], run_key=RUN)


def attempts(ledger: Ledger, purpose: Purpose, *outcomes: str, arms: tuple[Arm, ...]) -> None:
    """One task's attempts, one after another."""
    for number, (outcome, arm) in enumerate(zip(outcomes, arms, strict=True)):
        at = START + timedelta(minutes=number)
        made = Episode(
            episode_id=f"e{number}",
            run_key=RUN,
            agent_id="skillbench",
            purpose=purpose,
            arm=arm,
            trial=number // 2,
            task_id="csv-totals",
            outcome=Outcome(outcome),
            started_at=at,
            ended_at=at,
        )
        ledger.append([made], run_key=RUN)


BOTH = (Arm.BASELINE, Arm.CANDIDATE) * 2
DECIDED = {"gate_id": "gate", "rule": "higher", "verdict": "accept", "accepted": True}


def test_a_release_is_told_by_its_answer(ledger: Ledger) -> None:
    begun(ledger, "release")
    attempts(ledger, Purpose.RELEASE, "failed", "passed", "passed", "passed", arms=BOTH)
    text = render_markdown(build_report(ledger, RUN))
    assert text.startswith("# This release has not ended: nothing is announced")
    said = {"query_id": "q", "claimed": False, "alpha": 0.05, "level": 0.025, "nth": 1}
    measured = {"p_better": 0.5, "difference": 0.5, "interval_low": 0, "interval_high": 1}
    counted = {"n_tasks": 1, "n_clusters": 1, "n_pairs": 2, "wins": 1, "gates": 1}
    row = ReleaseRow.model_validate({"run_key": RUN, "at": START, **said, **measured, **counted})
    ledger.append([row], run_key=RUN)
    report = build_report(ledger, RUN)
    text = render_markdown(report)
    assert text.startswith("# No gain is announced; measured +50 points on 1 sealed task (95%")
    assert "| better / worse / same | 1 / 0 / 0 |" in text
    assert "changes went through 1 gate on other tasks" in text
    assert "rinding" not in text
    assert (report.n_tasks, report.n_attempts) == (0, 4), "no verdicts of tasks out of two states"


def test_a_gate_is_told_by_its_decision(ledger: Ledger) -> None:
    begun(ledger, "gate")
    attempts(ledger, Purpose.GATE, "failed", "passed", "passed", "passed", arms=BOTH)
    seen = {"difference": 0.5, "baseline_mean": 0.5, "candidate_mean": 1.0}
    row = GateDecisionRow.model_validate({"run_key": RUN, "at": START, **DECIDED, **seen})
    ledger.append([row], run_key=RUN)
    text = render_markdown(build_report(ledger, RUN))
    assert text.startswith("# gate: ✓ accepted: 50% → 100%")
    assert "Pass ratio" not in text


@pytest.mark.parametrize("kind", ["compete", "train", "adapt", "route"])
def test_only_a_grind_speaks_of_grinding(ledger: Ledger, kind: str) -> None:
    begun(ledger, kind)
    attempts(ledger, Purpose.TRAIN, "passed", "failed", arms=(Arm.NONE, Arm.NONE))
    text = render_markdown(build_report(ledger, RUN))
    assert text.startswith("# 0 of 1 task passed at its last attempt, 1 at the first")
    assert "rinding" not in text


@pytest.mark.parametrize("kind", ["grind", "adapt"])
def test_what_a_grind_flatters_is_said(ledger: Ledger, kind: str) -> None:
    """It tries again what failed, so a skill that does nothing looks as if it helped."""
    begun(ledger, kind)
    purpose = Purpose.GRIND if kind == "grind" else Purpose.ADAPT
    attempts(ledger, purpose, "failed", "passed", arms=(Arm.NONE, Arm.NONE))
    used = SkillUseRow(episode_id="e1", skill="idle", loaded=True)
    learned = SkillRow(run_key=RUN, skill="idle", skill_digest="d", evo_number=1)
    ledger.append([used], run_key=RUN)
    ledger.append([learned], run_key=RUN)
    text = render_markdown(build_report(ledger, RUN))
    flatters = kind == "grind"
    assert ("tries again what failed" in text) is flatters
    assert ("observed, and flattered" in text) is flatters
    assert ("later attempts differ in other ways too" in text) is not flatters


def test_gates_stand_in_the_order_in_which_they_decided(ledger: Ledger) -> None:
    names = ["batch-1-cycle-1", "batch-1-cycle-2", "batch-2-cycle-1", "batch-10-cycle-1"]
    for number, name in enumerate(names):
        at = {"cycle": int(name[-1]), "at": START + timedelta(minutes=number)}
        row = GateDecisionRow.model_validate({"run_key": RUN, **DECIDED, "gate_id": name, **at})
        ledger.append([row], run_key=RUN)
    assert [row.gate_id for row in build_report(ledger, RUN).gates] == names


def test_files_beside_skills_that_were_changed_are_told(ledger: Ledger) -> None:
    changed = {"tree_before": "a", "tree_after": "b", "others_changed": ("prompts/system.md",)}
    for number, step, more in (
        (1, "evolve", changed),
        (2, "evolve", changed),
        (2, "gate/rollback", {"accepted": False}),
        (3, "evolve", changed),
    ):
        row = EvolutionRow.model_validate(
            {"run_key": RUN, "evo_number": number, "step": step, "at": START, **more}
        )
        ledger.append([row], run_key=RUN)
    text = render_markdown(build_report(ledger, RUN))
    assert "| prompts/system.md | 1, 3 |" in text
