from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from grindstone.records import Episode, Outcome, Purpose, TestResult, Usage, Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)
usages = st.builds(Usage, *[], **dict.fromkeys(Usage.model_fields, st.integers(0, 10**9)))


@given(usages, usages)
def test_usage_adds_up_field_by_field(one: Usage, other: Usage):
    assert (one + other).total_tokens == one.total_tokens + other.total_tokens
    assert one + other == other + one


def test_skipped_tests_are_not_passed():
    tests = (TestResult(name="a", status="passed"), TestResult(name="b", status="skipped"))
    assert Verdict(reward=1.0, passed=True, tests=tests).tests_passed == 1


@pytest.mark.parametrize("reward", [-0.1, 1.1, float("nan")])
def test_a_reward_outside_its_range_is_refused(reward: float):
    with pytest.raises(ValidationError):
        Verdict(reward=reward, passed=False)


def episode(outcome: Outcome) -> Episode:
    return Episode(
        episode_id="e", run_key="r", agent_id="a", purpose=Purpose.GRIND, task_id="t",
        outcome=outcome, started_at=NOW, ended_at=NOW,
    )  # fmt: skip


def test_an_infrastructure_error_neither_passed_nor_failed():
    assert episode(Outcome.ERROR).passed is None
    assert episode(Outcome.FAILED).passed is False
    assert episode(Outcome.PASSED).passed is True


def test_times_without_a_zone_are_refused():
    with pytest.raises(ValidationError):
        Episode.model_validate(
            episode(Outcome.PASSED).model_dump() | {"ended_at": "2026-01-01T00:00:00"}
        )
