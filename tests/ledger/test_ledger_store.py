from datetime import UTC, datetime
from pathlib import Path

from grindstone.ledger.store import Ledger
from grindstone.records import Episode, Outcome, Purpose

T = datetime(2026, 1, 1, tzinfo=UTC)


def ep(i: int, **kw: object) -> Episode:
    return Episode(
        episode_id=f"e{i}",
        run_key="r",
        agent_id="a",
        purpose=Purpose.GRIND,
        task_id="t",
        outcome=Outcome.PASSED,
        started_at=T,
        ended_at=T,
        metadata={"a": [1, None]},
        tags=("x",),
        **kw,
    )


def test_rows_come_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    rows = [ep(i) for i in range(3)]
    path = ledger.append(rows, run_key="r")
    assert path == ledger.append(rows[::-1], run_key="r")
    ledger.append(rows[1:], run_key="r")
    assert ledger.rows(Episode, "r") == rows
    assert ledger.scan("episodes").collect().height == 3
    assert ledger.scan("skills").collect().height == 0
