"""Exports are read back by what the formats publish, not by our own writers."""

import csv
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


FORMULAS = (
    *(
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff201",
    ),
    *('=HYPERLINK("http://a.example")', "-", "-rf", "--help", "+49 30 12", '=cmd|" /C calc"!A0'),
)
WORDS = (
    "a=1",
    "-1",
    "+1.5",
    "-1e-3",
    " =1",
    "'=1",
    '"=1"',
    "2026-03-01",
    "",
    "[1]",
    "a;=1",
    "a\t=1",
)


def test_no_cell_of_csv_is_a_formula_and_numbers_stay(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home")
    said = FORMULAS + WORDS
    for number, text in enumerate(said):
        step = Step(index=0, kind=StepKind.AGENT, message=text, reasoning="-", at=NOW)
        rows = trajectory_rows(
            f"e{number}", Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED)
        )
        ledger.append([rows[0]], run_key=RUN)
        ledger.append(rows[1], run_key=RUN)
    failed = Episode(
        episode_id="e0", run_key=RUN, agent_id="a", purpose=Purpose.GRIND, task_id="=cmd",
        outcome=Outcome.FAILED, reward=0.25, score=0.0, started_at=NOW, ended_at=NOW,
    )  # fmt: skip
    ledger.append([failed], run_key=RUN)
    export_run(ledger, RUN, tmp_path / "out", ["csv", "parquet"])
    with (tmp_path / "out/csv/trajectory_steps.csv").open(encoding="utf-8", newline="") as file:
        cells = {row["episode_id"]: row["message"] for row in csv.DictReader(file)}
    assert [cells[f"e{n}"] for n in range(len(said))] == [f"'{text}" for text in FORMULAS] + [
        *WORDS
    ]
    # A table that is cut at other marks than commas has no cell of its own in a text.
    raw = (tmp_path / "out/csv/trajectory_steps.csv").read_text("utf-8")
    assert '"a;=1"' in raw
    assert '"a\t=1"' in raw
    episodes = pl.read_csv(tmp_path / "out/csv/episodes.csv")
    assert (episodes["reward"][0], episodes["task_id"][0]) == (0.25, "'=cmd")
    kept = pl.read_parquet(tmp_path / "out/parquet/trajectory_steps.parquet")
    assert set(said) == set(kept["message"])


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
