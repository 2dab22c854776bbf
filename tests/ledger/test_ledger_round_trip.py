from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from grindstone.ledger.store import Ledger
from grindstone.ledger.tables import ROW_CLASSES
from grindstone.ledger.tables.attempts import StepRow, TrajectoryRow, trajectory_of
from grindstone.ledger.tables.attempts import trajectory_rows as rows_of
from grindstone.ledger.tables.runs import EvolutionRow, Refusal, RunRow
from grindstone.records import (
    Episode,
    Outcome,
    Purpose,
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
)

T = datetime(2026, 1, 1, tzinfo=UTC)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
count = st.integers(0, 2**31)
usages = st.builds(Usage, input_tokens=count, output_tokens=count, cache_read_tokens=count)
moments = st.datetimes(
    min_value=datetime(1980, 1, 1),
    max_value=datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))]),
)
ratios = st.none() | st.floats(0, 1)
episodes = st.builds(
    Episode,
    run_key=st.just("r"),
    episode_id=text,
    agent_id=text,
    purpose=st.sampled_from(Purpose),
    task_id=text,
    tags=st.lists(text, max_size=3).map(tuple),
    metadata=st.dictionaries(text, json_values, max_size=3),
    outcome=st.sampled_from(Outcome),
    reward=ratios,
    score=ratios,
    cost_usd=ratios,
    confidence=ratios,
    usage=usages,
    error_detail=text,
    started_at=moments,
    ended_at=moments,
)
steps = st.builds(
    Step,
    index=count,
    kind=st.sampled_from(StepKind),
    message=text,
    reasoning=text,
    calls=st.lists(
        st.builds(
            ToolCall,
            call_id=text,
            name=text,
            arguments=st.dictionaries(text, json_values, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
    outputs=st.lists(
        st.builds(
            ToolOutput,
            call_id=text,
            content=text,
            exit_code=st.none() | st.integers(-255, 255),
            is_error=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    usage=st.none() | usages,
    at=moments,
)
SLOW = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@SLOW
@given(rows=st.lists(episodes, max_size=5, unique_by=lambda row: row.episode_id))
def test_episodes_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Episode]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("home"))
    ledger.append(rows, run_key="r")
    assert sorted(ledger.rows(Episode), key=repr) == sorted(rows, key=repr) or {
        row.episode_id: row for row in ledger.rows(Episode)
    } == {row.episode_id: row for row in rows}


@pytest.mark.slow
@SLOW
@given(found=st.lists(steps, max_size=4, unique_by=lambda step: step.index))
def test_trajectories_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, found: list[Step]
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("home"))
    trajectory = Trajectory(
        steps=tuple(sorted(found, key=lambda step: step.index)), stop_reason=StopReason.SUBMITTED
    )
    whole, parts = rows_of("e", trajectory)
    ledger.append([whole], run_key="r")
    ledger.append(parts, run_key="r")
    assert trajectory_of(ledger.rows(TrajectoryRow)[0], ledger.rows(StepRow)) == trajectory


def test_half_a_surrogate_pair_is_no_reason_to_lose_a_row(ledger: Ledger) -> None:
    row = RunRow.model_construct(
        run_key="r", sequence=0, kind="\ud800x", status="s", at=T, settings={}
    )
    ledger.append([row], run_key="r")
    assert ledger.rows(RunRow)[0].kind == "?x"


def test_steps_are_pleasant_to_query(ledger: Ledger) -> None:
    step = Step(
        index=0,
        kind=StepKind.AGENT,
        calls=(
            ToolCall(call_id="1", name="bash", arguments={"command": "make"}),
            ToolCall(call_id="2", name="load_skill", arguments={"name": "x"}),
        ),
        outputs=(
            ToolOutput(call_id="1", content="no rule", exit_code=2),
            ToolOutput(call_id="2", content="…"),
        ),
        at=T,
    )
    _, rows = rows_of("e", Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED))
    ledger.append(rows, run_key="r")
    found = ledger.scan(StepRow).filter(pl.col("n_errors") > 0).collect().row(0, named=True)
    assert found["call_names"] == ["bash", "load_skill"]
    assert found["commands"] == ["make"]
    assert found["exit_codes"] == [2]


def test_every_row_class_can_be_kept(ledger: Ledger) -> None:
    """Each class's schema holds what polars can store, nested records and all."""
    ledger.append(
        [EvolutionRow(run_key="r", evo_number=1, at=T, refusals=(Refusal(path="p", rule="r"),))],
        run_key="r",
    )
    assert ledger.rows(EvolutionRow)[0].refusals[0].rule == "r"
    for row in ROW_CLASSES:
        assert issubclass(row, BaseModel)
        assert ledger.rows(row) is not None
