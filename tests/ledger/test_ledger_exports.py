"""Exports are read back by what the formats publish, not by our own writers."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
from support.atif_shape import AtifTrajectory

from grindstone.ledger.row import LedgerError
from grindstone.ledger.store import Ledger
from grindstone.report.exports import export_run
from grindstone.report.html import render_html
from grindstone.report.run_report import build_report

RUN = "demo"


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


def test_unknown_run_and_format_are_named(run: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="run other: left no rows"):
        export_run(run, "other", tmp_path)
    with pytest.raises(LedgerError, match=r"'docx'.*expected one of json"):
        export_run(run, RUN, tmp_path, ["docx"])


def test_the_page_needs_nothing_from_outside(run: Ledger) -> None:
    page = render_html(build_report(run, RUN))
    assert page.count("<img ") == 5
    assert "<script" not in page
    outside = re.sub(r"data:image/[^\"]*", "", page)
    assert not re.search(r"https?://|//[a-z]", outside)
    assert "gone | at once &lt;b&gt;" in page
    assert '<h3 id="skill-csv-data">csv-data</h3>' in page
    assert '<a href="#skill-csv-data">csv-data</a>' in page
