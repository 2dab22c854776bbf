"""docs/ledger.md: its code runs; the reference's page of tables is made from the row classes."""

import re
from pathlib import Path

import polars as pl
import pytest

from grindstone.ledger import Ledger
from grindstone.ledger.describe import describe_tables
from grindstone.ledger.tables import TABLES
from grindstone.records import Episode, Purpose

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_its_code_reads_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = Episode(
        episode_id="e",
        run_key="r",
        agent_id="ada",
        purpose=Purpose.GRIND,
        task_id="t",
        category="git",
        outcome="passed",
        score=1.0,
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:00:01Z",
    )
    Ledger("evolution_workdir").append([row], run_key="r")
    found: dict[str, pl.LazyFrame] = {}
    exec(re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)[0], found)
    assert found["episodes"].collect().height == 1


def test_every_table_says_what_it_is_and_has_its_key_among_its_columns() -> None:
    page = describe_tables()
    for table in TABLES.values():
        assert f"## {table.name}\n\n{table.about}" in page
        assert table.about.endswith(".")
        assert set(table.full_key) <= set(table.schema().names())
        assert not set(table.key) & {"at", "started_at", "ended_at"}
