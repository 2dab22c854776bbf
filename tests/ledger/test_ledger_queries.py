import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from grindstone.ledger import queries
from grindstone.ledger.intervals import newcombe, wilson
from grindstone.ledger.store import Ledger
from grindstone.records import Outcome


@given(total=st.integers(1, 400), share=st.floats(0, 1))
def test_wilson_is_what_scipy_computes(total: int, share: float) -> None:
    passed = round(total * share)
    found = wilson(passed, total)
    known = binomtest(passed, total).proportion_ci(0.95, "wilson")
    assert found is not None
    assert found.low == pytest.approx(known.low, abs=1e-9)
    assert found.high == pytest.approx(known.high, abs=1e-9)


def test_newcombe_gives_the_published_example() -> None:
    found = newcombe(56, 70, 48, 80)  # Newcombe 1998, table II, method 10, example (a)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)
    assert newcombe(1, 1, 0, 0) is None


def test_queries_of_nothing_give_nothing(ledger: Ledger) -> None:
    episodes, uses = ledger.scan("episodes"), ledger.scan("skill_uses")
    assert queries.by_task(episodes).collect().height == 0
    assert queries.main_attempts(episodes).collect().height == 0
    assert queries.latest(episodes).collect().height == 0
    assert queries.pass_rate_by_cycle(episodes).collect().height == 0
    assert queries.skill_effects(episodes, uses).collect().height == 0
    assert queries.pass_ratio(queries.by_task(episodes)).collect()["ratio"].to_list() == [None]
    assert queries.costs(ledger.scan("calls"), "role").collect().height == 0


def test_gate_and_comparison_attempts_are_not_the_run(run: Ledger) -> None:
    frame = run.scan("episodes").collect()
    gate = frame.with_columns(pl.lit("gate").alias("purpose"))
    both = pl.concat([frame, gate]).lazy()
    assert queries.main_attempts(both).collect().height == frame.height
    assert queries.main_attempts(gate.lazy()).collect().height == frame.height


def test_a_skill_is_compared_with_attempts_at_the_same_tasks(run: Ledger) -> None:
    found = queries.skill_effects(run.scan("episodes"), run.scan("skill_uses")).collect()
    row = found.row(0, named=True)
    assert (row["offered"], row["loaded"], row["followed"]) == (3, 2, 1)
    assert (row["with_passed"], row["with_total"]) == (2, 2)
    assert (row["without_passed"], row["without_total"]) == (0, 1)  # log-window's error is none
    assert row["difference"] == 1.0


def test_costs_count_lost_tokens_and_unknown_prices(run: Ledger) -> None:
    row = queries.costs(run.scan("calls"), "task_id").collect()
    merge = row.filter(pl.col("task_id") == "json-merge").row(0, named=True)
    assert (merge["calls"], merge["input_tokens"], merge["unpriced"]) == (1, 1001, 1)
    assert merge["cost_usd"] is None


def test_a_task_that_only_met_errors_has_no_verdict(run: Ledger) -> None:
    frame = queries.by_task(run.scan("episodes")).collect()
    row = frame.filter(pl.col("task_id") == "tag-release").row(0, named=True)
    assert row["passed"] is None
    assert row["outcomes"] == [Outcome.ERROR.value]
    assert not row["needed_grinding"]
