import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.runs import EvolutionRow, GateDecisionRow, IncidentRow, SkillRow
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode, Outcome, Purpose
from grindstone.report.markdown import headline, render_markdown
from grindstone.report.model import RunReport, to_json
from grindstone.report.plots import verdict_grid
from grindstone.report.run_report import build_report

RUN = "demo"


def test_the_numbers_of_a_run(run: Ledger) -> None:
    report = build_report(run, RUN)
    assert (report.n_tasks, report.n_scored, report.passed) == (5, 4, 3)
    assert report.pass_ratio == 0.75
    assert (report.first_passed, report.needed_grinding, report.resolved_by_grinding) == (2, 2, 1)
    assert [(g.name, g.passed, g.tasks) for g in report.by_category] == [
        ("data", 2, 2),
        ("git", 0, 0),
        ("logs", 1, 2),
    ]
    assert report.by_category[1].ratio is None
    assert [(c.cycle, c.attempts, c.errors, c.solved_so_far) for c in report.by_cycle] == [
        (1, 3, 2, 1),
        (2, 3, 0, 3),
    ]
    assert {e.task_id for e in report.errors} == {"log-window", "tag-release"}
    assert report.unpriced_calls == 1
    assert abs((report.cost_usd or 0) - 0.07) < 1e-9
    assert report.total_tokens == 8 * 1101
    csv = next(line for line in report.tasks if line.task_id == "csv-totals")
    assert csv.helped == ("csv-data",)
    assert csv.resolved_by_grinding


@pytest.mark.parametrize(
    ("trees", "unchanged"), [(("a", "a"), 1), (("a", "b"), 0), (("a", "b", "a"), 1), (("", ""), 0)]
)
def test_what_passed_as_it_had_failed_was_not_learned(
    tmp_path: Path, trees: tuple[str, ...], unchanged: int
) -> None:
    """A gate that takes every change back leaves an agent that is lucky or not."""
    ledger = Ledger(tmp_path)
    for cycle, tree in enumerate(trees, 1):
        outcome = Outcome.PASSED if cycle == len(trees) else Outcome.FAILED
        at = datetime(2026, 3, cycle, tzinfo=UTC)
        made = Episode(
            episode_id=f"e{cycle}",
            run_key=RUN,
            agent_id="skillbench",
            purpose=Purpose.GRIND,
            task_id="csv-totals",
            outcome=outcome,
            cycle=cycle,
            workspace_tree=tree,
            started_at=at,
            ended_at=at,
        )
        ledger.append([made], run_key=RUN)
    report = build_report(ledger, RUN)
    assert (report.resolved_by_grinding, report.resolved_unchanged) == (1, unchanged)
    told = ", 1 of them by trying again with nothing changed" * unchanged
    assert headline(report).endswith(f"1 needed grinding and 1 of them was resolved{told}")
    assert f"| Resolved by grinding | 1 of 1{told} |" in render_markdown(report)
    title = verdict_grid(report).to_dict()["title"]
    assert f"{1 - unchanged} only after learning" in str(title)


def test_what_was_learned_says_its_effect(run: Ledger) -> None:
    (skill,) = build_report(run, RUN).learned
    assert skill.learned_from == ("csv-totals",), "not all that the evolution was shown"
    assert not skill.of_a_batch
    assert skill.helped == ("csv-totals", "log-window")
    assert skill.effect is not None
    assert skill.effect.value == 1.0
    assert skill.effect.low < 1.0 == skill.effect.high


def test_that_a_task_passed_with_a_skill_is_not_told_as_its_doing(run: Ledger) -> None:
    text = render_markdown(build_report(run, RUN))
    assert "skills it passed with" in text
    assert "csv-totals, log-window passed with it" in text
    assert "helped" not in text


def test_tasks_shown_together_are_not_each_said_to_have_taught(run: Ledger) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    shown = {"run_key": RUN, "agent_id": "skillbench", "task_ids": ("log-count", "csv-totals")}
    evolved = EvolutionRow(
        **shown, evo_number=2, step="batch-1/cycle-1/evolve", skills_added=("both",), at=at
    )
    promoted = EvolutionRow(
        **shown, evo_number=3, step="batch-1/promote", skills_added=("each",), at=at
    )
    run.append([evolved, promoted], run_key=RUN)
    report = build_report(run, RUN)
    both, each = (line for line in report.learned if line.skill in ("both", "each"))
    assert both.learned_from == each.learned_from == ("csv-totals", "log-count")
    assert both.of_a_batch
    assert not each.of_a_batch
    text = render_markdown(report, {})
    assert "Evolution 2; taught by one or more of csv-totals, log-count" in text
    assert "Evolution 3; taught by csv-totals, log-count" in text


def test_evolutions_are_counted_by_number_and_drafts_have_none(ledger: Ledger) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)

    def change(number: int, step: str, accepted: bool = True, after: str = "b") -> EvolutionRow:
        return EvolutionRow(
            run_key=RUN,
            evo_number=number,
            step=step,
            tree_before="a",
            tree_after=after,
            accepted=accepted,
            at=at,
        )

    rows = [
        change(0, "batch-1/cycle-1/success-one"),
        change(0, "batch-1/cycle-1/task_skill-two"),
        change(1, "evolve"),
        change(1, "batch-1/cycle-1/again"),
        change(2, "evolve"),
        change(2, "gate/rollback", accepted=False),
        change(3, "evolve", after="a"),  # all of it was refused
        change(0, "gate/rollback", accepted=False),  # as older versions noted it
    ]
    own = SkillRow(run_key=RUN, skill="two", skill_digest="d", scope="task", learned_from=("two",))
    for row in rows:
        ledger.append([row], run_key=RUN)
    ledger.append([own], run_key=RUN)
    report = build_report(ledger, RUN)
    assert report.n_evolutions == 1
    assert [line.skill for line in report.learned] == ["two"], "what has no number stands by itself"


def test_a_step_that_was_done_again_is_no_loss(ledger: Ledger) -> None:
    def noted(at: int, step: str, settled: bool = False) -> IncidentRow:
        return IncidentRow(
            run_key=RUN,
            incident_id=str(at),
            step=step,
            error="" if settled else "ValueError: x",
            settled=settled,
            at=datetime(2026, 3, 1, 12, at, tzinfo=UTC),
        )

    rows = [noted(1, "plots"), noted(2, "report"), noted(3, "plots", settled=True)]
    ledger.append(rows, run_key=RUN)
    assert [line.step for line in build_report(ledger, RUN).incidents] == ["report"]
    ledger.append([noted(4, "plots")], run_key=RUN)
    assert [line.step for line in build_report(ledger, RUN).incidents] == ["report", "plots"]


def test_a_reader_sees_the_finding_first(run: Ledger) -> None:
    report = build_report(run, RUN)
    text = render_markdown(report, {"egl": "![egl](data:x)"})
    first = text.splitlines()[0]
    assert first == (
        "# Rehearsal: 3 of 4 tasks passed; 2 needed grinding and 1 of them was resolved; "
        "1 without a score"
    )
    assert "| task | category | difficulty | cycle 1 | cycle 2 |" in text
    assert "| csv-totals | data | easy | ✗ | ✓ | 2/2 | [csv-data](#skill-csv-data) |" in text
    assert "prompts/system.md" in text
    assert "price unknown of 1 call" in text
    assert "totals \\| of a CSV" in text
    assert "gone \\| at once &lt;b>" in text
    assert "![egl](data:x)" in text
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| csv-totals")}
    assert len(widths) == 1


def test_a_rehearsal_cost_nothing_and_what_else_has_no_price_is_unknown(run: Ledger) -> None:
    calls = run.rows(CallRecord, RUN)
    unpriced = [call.model_copy(update={"cost_usd": None}) for call in calls]
    played = [call.model_copy(update={"run_key": "played", "rehearsal": True}) for call in unpriced]
    attempts = [row.model_copy(update={"run_key": "played"}) for row in run.rows(Episode)]
    run.append(attempts, run_key="played")
    run.append(played, run_key="played")
    report = build_report(run, "played")
    text = render_markdown(report)
    assert "| Cost | nothing, 8,808 tokens |" in text
    assert "price unknown" not in text
    mixed = [call.model_copy(update={"run_key": "mixed"}) for call in [*played[:3], *unpriced[3:]]]
    run.append(mixed, run_key="mixed")
    assert build_report(run, "mixed").unpriced_calls == 5


def test_a_run_without_labels_ground_nothing(run: Ledger) -> None:
    report = build_report(run, RUN).model_copy(update={"kind": "adapt"})
    assert headline(report) == (
        "Rehearsal: 3 of 4 tasks passed at their last attempt, 2 at the first; 1 without a score"
    )
    assert "rinding" not in render_markdown(report)


def test_a_run_without_anything_is_no_division_by_zero(ledger: Ledger) -> None:
    report = build_report(ledger, "nothing")
    assert report == RunReport(run_key="nothing")
    assert headline(report) == "no scored attempts in run nothing"
    assert "no scored attempts" in render_markdown(report)


def test_a_run_that_was_a_gate_says_what_it_decided(ledger: Ledger) -> None:
    row = GateDecisionRow(
        run_key="gated",
        gate_id="gate",
        rule="no_regression",
        verdict="reject",
        accepted=False,
        baseline_mean=0.75,
        candidate_mean=0.5,
        difference=-0.25,
        reason="two tasks went worse",
        at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    ledger.append([row], run_key="gated")
    report = build_report(ledger, "gated")
    assert headline(report) == "gate: ✗ rejected: 75% → 50% (-25 points)"
    text = render_markdown(report)
    assert "two tasks went worse" in text
    assert "no scored attempts" not in text


def test_json_is_the_report_itself(run: Ledger) -> None:
    report = build_report(run, RUN)
    assert RunReport.model_validate_json(to_json(report)) == report
    assert json.loads(to_json(report))["passed"] == 3
