"""What must hold of readiness for any record, over the real tables."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from graduation_support import START
from hypothesis import given, settings
from hypothesis import strategies as st

from grindstone.graduation.evidence.measure import Since, Tables, measure, records
from grindstone.graduation.evidence.readiness import Readiness, assess
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy
from grindstone.ledger.row import table_of
from grindstone.ledger.store import frame_of
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.autonomy import ComplianceRow, InterventionRow, RatingRow
from grindstone.records import Episode, Outcome, Purpose

POLICY = Policy(name="p")
SETTINGS = settings(deadline=None, max_examples=60)


def episode(number: int, **more: Any) -> Episode:
    at = START + timedelta(minutes=number)
    given = {
        "episode_id": f"ep-{number}",
        "run_key": "r",
        "agent_id": "ada",
        "purpose": Purpose.ROUTE,
        "task_id": "t",
        "outcome": Outcome.PASSED,
        "constitutional_score": 1.0,
        "confidence": 1.0,
        "started_at": at,
        "ended_at": at,
    }
    return Episode.model_validate(given | more)


def of(episodes: list[Episode], edits: list[InterventionRow] | None = None) -> Readiness:
    def lazy(row: Any, rows: list[Any]) -> pl.LazyFrame:
        return frame_of(table_of(row), rows, "r").lazy()

    tables = Tables(
        lazy(Episode, episodes),
        lazy(InterventionRow, edits or []),
        lazy(ComplianceRow, []),
        lazy(RatingRow, []),
        lazy(SkillUseRow, []),
    )
    levels = {"ada": Since(Level.STUDENT)}
    found = records(measure(tables, POLICY, levels, latest=10, digests=["x"]))
    return assess(found["ada"], POLICY, current=Level.STUDENT, target=Level.INTERN)


episodes_of = st.lists(
    st.builds(
        dict,
        outcome=st.sampled_from([Outcome.PASSED, Outcome.FAILED]),
        constitutional_score=st.one_of(st.none(), st.floats(0, 1)),
        confidence=st.one_of(st.none(), st.floats(0, 1)),
        human_intervention_count=st.integers(0, 2),
    ),
    min_size=1,
    max_size=25,
).map(lambda given: [episode(number, **each) for number, each in enumerate(given)])


@pytest.mark.slow
@SETTINGS
@given(episodes_of)
def test_an_extra_clean_episode_never_lowers_readiness(given: list[Episode]) -> None:
    before, after = of(given), of([*given, episode(1000)])
    assert after.score >= before.score - 1e-9
    assert after.ready or not before.ready


@pytest.mark.slow
@SETTINGS
@given(episodes_of, st.data())
def test_an_extra_intervention_never_raises_readiness(
    given: list[Episode], data: st.DataObject
) -> None:
    touched = data.draw(st.sampled_from(given))
    edit = InterventionRow(
        episode_id=touched.episode_id, position=1, at=START, field="x", corrected_by="Grace"
    )
    before, after = of(given), of(given, [edit])
    assert after.score <= before.score + 1e-9
    assert before.ready or not after.ready
    assert after.intervention_rate >= before.intervention_rate
    assert after.intervention_rate_upper >= before.intervention_rate_upper - 1e-12


@pytest.mark.slow
@SETTINGS
@given(episodes_of, st.randoms())
def test_order_of_arrival_never_matters(given: list[Episode], random: Any) -> None:
    shuffled = list(given)
    random.shuffle(shuffled)
    one, two = of(given), of(shuffled)
    assert abs(one.score - two.score) < 1e-9
    assert (one.ready, one.gaps) == (two.ready, two.gaps)


def test_an_early_intervention_does_not_bar_for_ever() -> None:
    policy = Policy(name="p")
    early = [episode(0, human_intervention_count=1)] + [episode(n) for n in range(1, 60)]
    levels = {"ada": Since(Level.SUPERVISED)}
    tables = Tables(
        frame_of(table_of(Episode), early, "r").lazy(),
        *(frame_of(table_of(row), [], "r").lazy() for row in (InterventionRow, ComplianceRow)),
        *(frame_of(table_of(row), [], "r").lazy() for row in (RatingRow, SkillUseRow)),
    )
    record = records(measure(tables, policy, levels, latest=50, digests=["x"]))["ada"]
    found = assess(record, policy, current=Level.SUPERVISED, target=Level.AUTONOMOUS)
    unmet = {item.name for item in found.requirements if not item.met}
    assert unmet == {"score"}  # nothing rated, no skills: the floor, not the old correction
    assert found.record.zero_interventions == 59


def test_infrastructure_errors_are_no_episodes() -> None:
    spoiled = episode(5, outcome=Outcome.ERROR, constitutional_score=None)
    assert of([episode(0), spoiled]).record.episodes == 1
