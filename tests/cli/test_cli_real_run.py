"""What the commands say of a run that really was made."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterTags,
    LogFilter,
    LogFilterFlowRunId,
)
from support.atif_shape import AtifTrajectory

from grindstone.report.model import RunReport

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(300),
]


def test_grind_prints_one_document_and_tells_the_rest_elsewhere(real_run):
    report = RunReport.model_validate(real_run.done.document)
    assert (report.run_key, report.status) == ("first", "completed")
    assert (report.passed, report.n_tasks) == (2, 2)
    assert "✗ branch-sales  cycle 1" in real_run.done.err
    assert "✓ branch-sales  cycle 2" in real_run.done.err
    assert "✗ branch-sales (without)" in real_run.done.err
    assert "✓ branch-sales (with)" in real_run.done.err
    assert "home/runs/first/report.md" in real_run.done.err
    home = real_run.done.err.partition("Next: ")[2]
    assert home.startswith("grindstone episodes --failed --run-key first --work-dir /")
    assert "--batch-size 2 has all of --max-workers work" in real_run.done.err


def test_the_flow_runs_log_has_what_the_command_said(real_run, prefect_server: str):
    with get_client(sync_client=True) as client:
        tag = FlowRunFilterTags(all_=["run:first"])
        runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tag))
        (run,) = [run for run in runs if run.parent_task_run_id is None]
        only = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        log = [line.message for line in client.read_logs(only)]
    for told in (" branch-sales  cycle 1  failed: ", " branch-sales  cycle 2  passed: "):
        assert any(told in line for line in log), log
        assert told in real_run.done.err


def test_the_comparison_pairs_the_same_tasks(real_run):
    seen = RunReport.model_validate(real_run.done.document).comparison
    assert seen is not None
    assert (seen.paired.n_pairs, seen.paired.n_missing) == (2, 0)
    branch, inventory = seen.tasks
    assert (branch.task_id, branch.difference) == ("branch-sales", 1.0)
    assert inventory.difference == 0.0
    assert (seen.paired.wins, seen.paired.ties) == (1, 1)
    assert seen.paired.interval_low < seen.paired.difference < seen.paired.interval_high
    assert not seen.told_apart
    assert seen.with_skills.tokens > seen.without_skills.tokens > 0


def test_report_is_the_run_again(real_run):
    printed = real_run("report")
    assert printed.code == 0
    assert printed.out.startswith("# Rehearsal: 2 of 2 tasks passed")
    assert "## With skills against without" in printed.out
    assert "## Skill use" in printed.out
    assert "| task | category | difficulty | cycle 1 | cycle 2 |" in printed.out
    again = real_run("report", "first", "--json")
    assert again.document == real_run.done.document


def test_skill_use_counts_what_the_ledger_holds(real_run):
    report = RunReport.model_validate(real_run.done.document)
    learned = {each.skill for each in report.learned if each.scope == "general"}
    used = {each.skill: each for each in report.skill_effects}
    assert learned <= used.keys()
    skill = used[learned.pop()]
    assert skill.offered >= skill.loaded >= skill.followed >= 1
    assert skill.with_passed == skill.with_total == skill.loaded
    assert (skill.without_passed, skill.without_total) == (0, 1)
    assert skill.difference == 1.0
    assert skill.low < 1.0 == skill.high


def test_a_page_is_written(real_run, tmp_path: Path):
    page = tmp_path / "page.html"
    assert real_run("report", "first", "--html", page, "--json").document["passed"] == 2
    text = page.read_text()
    assert "With skills against without" in text
    assert text.count("<img ") >= 5
    assert not re.search(r"https?://", re.sub(r"data:image/[^\"]*", "", text))


def test_every_format_is_exported(real_run, tmp_path: Path):
    done = real_run("report", "first", "--export", tmp_path / "out")
    assert done.code == 0
    out = tmp_path / "out"
    assert RunReport.model_validate_json((out / "report.json").read_text()).passed == 2
    assert (out / "report.md").read_text() == done.out
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    episodes = pl.read_parquet(out / "parquet/episodes.parquet")
    assert pl.read_csv(out / "csv/episodes.csv").height == episodes.height
    assert sorted(episodes["arm"].unique()) == ["", "with", "without"]
    trajectories = [
        AtifTrajectory.model_validate_json(path.read_text())
        for path in (out / "atif").glob("*.json")
    ]
    assert {each.session_id for each in trajectories} == set(episodes["episode_id"])
    assert any(step.tool_calls for each in trajectories for step in each.steps)


def test_only_the_formats_asked_for(real_run, tmp_path: Path):
    done = real_run("report", "--export", tmp_path / "out", "--format", "json", "--format", "csv")
    assert done.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.json", "csv"}


def test_episodes_are_listed_and_shown(real_run):
    rows = real_run("episodes", "--json").document
    assert {row["purpose"] for row in rows} == {"grind", "compare"}
    assert len(real_run("episodes", "--limit", "2", "--json").document) == 2
    listed = real_run("episodes").out
    assert len(listed.splitlines()) == 1 + len(rows), "a head, and a line each"
    assert "compare  without" in listed
    first = next(row for row in rows if row["cycle"] == 1 and row["task_id"] == "branch-sales")
    shown = real_run("episodes", first["episode_id"][:10], "--json").document
    assert shown["episode"] == first
    assert shown["trajectory"]["steps"]
    assert "branch-sales" in real_run("episodes", first["episode_id"]).out
    assert real_run("episodes", "--run-key", "other").code == 2
    assert len(real_run("episodes", "--limit", "0", "--json").document) == len(rows)


def test_a_setting_without_effect_is_told(real_run):
    assert "promotion_threshold has no effect: no draft is promoted" in real_run.done.err
    assert real_run.done.err.count("has no effect") == 1


def test_the_home_is_a_variable_too(real_run, command):
    home = str(real_run.folder / "home")
    there = {"GRINDSTONE_WORK_DIR": home}
    assert command("episodes", "--json", **there).document
    assert command("report", "--json", **there).document == real_run.done.document
    assert command("skills", "list", GRINDSTONE_AGENT_ID="skillbench", **there).code == 0
    assert command("episodes", "--json", WORK_DIR=home).document == []


def test_skills_are_listed_shown_and_dated(real_run):
    skills = {each["name"] for each in real_run("skills", "list", "--json").document["skills"]}
    (learned,) = (
        each.skill
        for each in RunReport.model_validate(real_run.done.document).learned
        if each.scope == "general"
    )
    assert {"data-formats", learned} <= skills
    text = real_run("skills", "show", learned).out
    assert text.startswith("---\n")
    history = real_run("skills", "history", "--json").document
    assert [ref["number"] for ref in history] == [1]
    assert "evo-1" in real_run("skills", "history").out


def test_going_back_loses_nothing(real_run, tmp_path: Path):
    import shutil

    home = tmp_path / "home"
    shutil.copytree(real_run.folder / "home", home, symlinks=True)
    there = real_run._replace(folder=tmp_path)
    before = there("skills", "list", "--json").document
    assert there("skills", "rollback", "pre-evo-1", "--reason", "a test").code == 0
    without = there("skills", "list", "--json").document
    assert len(without["skills"]) == len(before["skills"]) - 1
    assert there("skills", "rollback", "evo-1").code == 0
    assert there("skills", "list", "--json").document == before


def test_the_ledgers_json_is_the_reports(real_run):
    kept = real_run.folder / "home" / "runs" / "first" / "report.json"
    assert json.loads(kept.read_text()) == real_run.done.document


def test_what_many_steps_wrote_is_read_from_one_file(real_run):
    from grindstone.ledger import Ledger

    ledger = Ledger(real_run.folder / "home")
    (part,) = ledger.live_parts("calls", "first")
    assert part.merged
    assert len(ledger.parts("calls", "first")) > 8
