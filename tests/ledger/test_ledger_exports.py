"""Exports are read back by what the formats publish, not by our own writers."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from grindstone.ledger.exports import export_run
from grindstone.ledger.html import render_html
from grindstone.ledger.report import build_report
from grindstone.ledger.row import LedgerError
from grindstone.ledger.store import Ledger

RUN = "demo"


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AtifCall(Shape):
    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]


class AtifResult(Shape):
    source_call_id: str | None = None
    content: str | None = None
    subagent_trajectory_ref: list[dict[str, Any]] | None = None


class AtifObservation(Shape):
    results: list[AtifResult]


class AtifMetrics(Shape):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    prompt_token_ids: list[int] | None = None
    completion_token_ids: list[int] | None = None
    logprobs: list[float] | None = None
    extra: dict[str, Any] | None = None


class AtifStep(Shape):
    """The step of RFC 0001, v1.4, with the rules its validator adds."""

    step_id: int = Field(ge=1)
    timestamp: str | None = None
    source: Literal["system", "user", "agent"]
    model_name: str | None = None
    reasoning_effort: str | float | None = None
    message: str
    reasoning_content: str | None = None
    tool_calls: list[AtifCall] | None = None
    observation: AtifObservation | None = None
    metrics: AtifMetrics | None = None
    extra: dict[str, Any] | None = None

    @field_validator("timestamp")
    @classmethod
    def _is_iso(cls, value: str | None) -> str | None:
        if value is not None:
            datetime.fromisoformat(value)
        return value

    @model_validator(mode="after")
    def _agent_only(self) -> "AtifStep":
        own = (self.model_name, self.reasoning_effort, self.reasoning_content)
        if self.source != "agent":
            assert not any((*own, self.tool_calls, self.metrics)), "for agent steps alone"
        if self.source == "user":
            assert self.observation is None
        calls = {call.tool_call_id for call in self.tool_calls or ()}
        for result in self.observation.results if self.observation else ():
            assert result.source_call_id is None or result.source_call_id in calls
        if self.metrics and self.metrics.cached_tokens:
            assert (self.metrics.prompt_tokens or 0) >= self.metrics.cached_tokens
        return self


class AtifAgent(Shape):
    name: str
    version: str
    model_name: str | None = None
    extra: dict[str, Any] | None = None


class AtifFinal(Shape):
    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: int | None = None
    extra: dict[str, Any] | None = None


class AtifTrajectory(Shape):
    schema_version: Literal["ATIF-v1.4"]
    session_id: str
    agent: AtifAgent
    steps: list[AtifStep] = Field(min_length=1)
    notes: str | None = None
    final_metrics: AtifFinal | None = None
    extra: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "AtifTrajectory":
        assert [step.step_id for step in self.steps] == list(range(1, len(self.steps) + 1))
        return self


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
