"""Exports are read back by what the formats publish, not by our own writers."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from support.atif_shape import AtifTrajectory

from grindstone.ledger.row import LedgerError
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.attempts import trajectory_rows
from grindstone.records import Episode, Outcome, Purpose, Step, StepKind, StopReason, Trajectory
from grindstone.report.exports import export_run
from grindstone.report.html import render_html
from grindstone.report.run_report import build_report

RUN = "demo"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.slow
def test_all_formats_are_written(run: Ledger, tmp_path: Path) -> None:
    written = export_run(run, RUN, tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in written}
    assert {"report.json", "report.md", "report.html", "csv/episodes.csv"} <= names
    assert {"parquet/episodes.parquet", "parquet/trajectory_steps.parquet"} <= names
    assert all(path.stat().st_size for path in written)
    assert pl.read_parquet(tmp_path / "out/parquet/episodes.parquet").height == 8
    assert pl.read_csv(tmp_path / "out/csv/episodes.csv").height == 8
    steps = pl.read_csv(tmp_path / "out/csv/trajectory_steps.csv")
    calls = json.loads(steps.filter(pl.col("index") == 2)["calls"][0])
    assert calls[0]["name"] == "bash"


def test_atif_follows_the_published_shape(run: Ledger, tmp_path: Path) -> None:
    written = export_run(run, RUN, tmp_path / "out", ["atif"])
    assert len(written) == 8
    for path in written:
        found = AtifTrajectory.model_validate_json(path.read_text())
    assert found.final_metrics is not None
    assert found.final_metrics.total_prompt_tokens == 17
    assert found.steps[2].observation is not None
    assert found.steps[2].observation.results[0].source_call_id == "c1"
    assert found.steps[3].source == "system"


def test_atif_names_the_side_of_a_comparison(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for arm in ("with", "without"):
        episode = Episode(
            episode_id=arm,
            run_key=RUN,
            agent_id="skillbench",
            purpose=Purpose.COMPARE,
            arm=arm,
            task_id="csv-totals",
            outcome=Outcome.PASSED,
            reward=1.0,
            score=1.0,
            started_at=NOW,
            ended_at=NOW,
        )
        said = Step(index=0, kind=StepKind.AGENT, message="Done.", at=NOW)
        trajectory = Trajectory(steps=(said,), stop_reason=StopReason.SUBMITTED, submission="Done.")
        whole, steps = trajectory_rows(arm, trajectory)
        for rows in ([whole], steps, [episode]):
            ledger.append(rows, run_key=RUN)
    written = export_run(ledger, RUN, tmp_path / "out", ["atif"])
    sides = {path: json.loads(path.read_text())["extra"]["arm"] for path in written}
    assert sorted(sides.values()) == ["with", "without"]
    for path, arm in sides.items():
        assert path.name.startswith(f"csv-totals-{arm}-c")


def test_unknown_run_and_format_are_named(run: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="run other: left no rows"):
        export_run(run, "other", tmp_path)
    with pytest.raises(LedgerError, match=r"'docx'.*expected one of json"):
        export_run(run, RUN, tmp_path, ["docx"])


@pytest.mark.slow
def test_the_page_needs_nothing_from_outside(run: Ledger) -> None:
    page = render_html(build_report(run, RUN))
    assert page.count("<img ") == 5
    assert "<script" not in page
    outside = re.sub(r"data:image/[^\"]*", "", page)
    assert not re.search(r"https?://|//[a-z]", outside)
    assert "gone | at once &lt;b&gt;" in page
    assert '<h3 id="skill-csv-data">csv-data</h3>' in page
    assert '<a href="#skill-csv-data">csv-data</a>' in page
