"""Levels, score, criteria, streaks and capabilities as pure functions."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from grindstone.errors import InputError
from grindstone.gate.exact import at_most
from grindstone.graduation.evidence.readiness import assess, readiness_score
from grindstone.graduation.evidence.record import Recent, Record
from grindstone.graduation.rules.capabilities import CapabilityRule, Use, standing
from grindstone.graduation.rules.levels import ActionClass, Level, Permission, permission
from grindstone.graduation.rules.policy import Policy
from grindstone.graduation.rules.streaks import SkillRun, skill_level, streak

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)


def run(minute: int, clean: bool, complexity: str = "simple") -> SkillRun:
    at = NOON + timedelta(minutes=minute)
    return SkillRun(at, f"ep-{minute}", clean, 0, 1.0, complexity)


def test_worked_example_is_77_7() -> None:
    score = readiness_score(
        zero_intervention=0.83,
        constitutional=0.78,
        confidence=0.72,
        success=0.85,
        supervision=0.80,
        skill_diversity=0.60,
    )
    assert score == pytest.approx(77.7)


def test_worked_example_by_the_formulas_has_other_diversity() -> None:
    """Six skills of twenty are 0.30, and 10 of 12 is 0.8333: the formulas hold, not the text."""
    recent = Recent(
        episodes=10, intervened=1, interventions=1, checked=10, constitutional_score=0.78
    )
    record = Record(
        episodes=12,
        zero_interventions=10,
        interventions=2,
        checked=12,
        constitutional_score=0.78,
        confident=12,
        confidence=0.72,
        succeeded=10,
        rated=5,
        rated_well=4,
        skills=6,
        recent=recent,
    )
    found = assess(record, Policy(name="x"), current=Level.STUDENT, target=Level.INTERN)
    by_name = {item.name: item for item in found.components}
    assert by_name["zero_intervention"].raw == pytest.approx(10 / 12)
    assert by_name["zero_intervention"].weighted == pytest.approx(25.0)
    assert by_name["constitutional"].weighted == pytest.approx(19.5)
    assert by_name["confidence"].weighted == pytest.approx(10.8)
    assert by_name["supervision"].weighted == pytest.approx(8.0)
    assert by_name["skill_diversity"].weighted == pytest.approx(3.0)
    assert found.score == pytest.approx(25 + 19.5 + 10.8 + 100 / 12 + 8 + 3)
    assert found.ready
    assert not found.gaps


def test_unknown_components_are_reported_and_count_nothing() -> None:
    found = assess(
        Record(episodes=1, zero_interventions=1, succeeded=1),
        Policy(name="x"),
        current=Level.STUDENT,
        target=Level.INTERN,
    )
    unknown = {item.name for item in found.components if item.raw is None}
    assert unknown == {"constitutional", "confidence", "supervision"}
    assert found.score == pytest.approx(40.0)
    assert found.weakest == "constitutional"
    assert "rule packs" in found.recommendation


def test_levels_know_their_neighbours_and_refuse_strangers() -> None:
    assert Level.STUDENT.above is Level.INTERN
    assert Level.AUTONOMOUS.above is None
    assert Level.STUDENT.below is None
    assert Level.parse(" autonomous ") is Level.AUTONOMOUS
    with pytest.raises(InputError, match="STUDENT, INTERN, SUPERVISED, AUTONOMOUS"):
        Level.parse("MASTER")


def test_permissions_by_level() -> None:
    allowed, asks, forbidden = (
        Permission.ALLOWED,
        Permission.NEEDS_APPROVAL,
        Permission.FORBIDDEN,
    )
    table = {
        Level.STUDENT: (allowed, forbidden, forbidden, forbidden),
        Level.INTERN: (allowed, allowed, forbidden, forbidden),
        Level.SUPERVISED: (allowed, allowed, asks, forbidden),
        Level.AUTONOMOUS: (allowed, allowed, allowed, allowed),
    }
    for level, row in table.items():
        assert tuple(permission(level, action) for action in ActionClass) == row


@pytest.mark.parametrize(("trials", "bound"), [(50, 0.058), (8, 0.312), (3, 0.632), (0, 1.0)])
def test_bound_on_a_spotless_record(trials: int, bound: float) -> None:
    assert at_most(0, trials) == pytest.approx(bound, abs=5e-4)


@given(st.integers(1, 200), st.data())
def test_bound_agrees_with_scipy(trials: int, data: st.DataObject) -> None:
    events = data.draw(st.integers(0, trials))
    exact = binomtest(events, trials, alternative="less").proportion_ci(0.95, "exact")
    assert at_most(events, trials) == pytest.approx(exact.high, abs=1e-9)


def test_failures_between_successes_break_a_streak() -> None:
    runs = [run(minute, clean) for minute, clean in enumerate([True, False, True, False, True])]
    for order in permutations(runs):
        assert streak(order).length == 1


def test_streak_asks_for_the_hardest_run_in_it() -> None:
    assert streak([run(i, True) for i in range(3)]).earned
    mixed = [run(0, True), run(1, True, "hard"), run(2, True)]
    assert streak(mixed).required == 8
    assert streak([run(i, True, "medium") for i in range(5)]).earned
    assert streak([run(i, True, "who knows") for i in range(7)]).required == 8


def test_unchecked_or_corrected_runs_are_not_clean() -> None:
    unchecked = SkillRun(NOON, "a", True, 0, None)
    corrected = SkillRun(NOON, "b", True, 1, 1.0)
    careless = SkillRun(NOON, "c", True, 0, 0.94)
    assert [item.clean for item in (unchecked, corrected, careless)] == [False] * 3


def test_a_skill_does_not_outgrow_its_agent() -> None:
    earned = streak([run(i, True) for i in range(3)])
    assert skill_level(earned, Level.INTERN) is Level.INTERN
    assert skill_level(earned, Level.INTERN, approved=True) is Level.AUTONOMOUS
    assert skill_level(earned, Level.AUTONOMOUS) is Level.AUTONOMOUS
    assert skill_level(streak([]), Level.AUTONOMOUS) is Level.SUPERVISED


@given(st.lists(st.booleans(), max_size=30), st.randoms())
def test_streak_is_the_clean_tail_in_any_order_of_arrival(clean: list[bool], random) -> None:
    runs = [run(minute, each) for minute, each in enumerate(clean)]
    tail = 0
    for each in reversed(clean):
        if not each:
            break
        tail += 1
    random.shuffle(runs)
    assert streak(runs).length == tail


def uses(*outcomes: bool) -> list[Use]:
    return [Use(NOON + timedelta(minutes=i), f"ep-{i}", each) for i, each in enumerate(outcomes)]


@pytest.mark.parametrize(
    ("successes", "level", "missing"),
    [
        (0, Level.STUDENT, 5),
        (4, Level.STUDENT, 1),
        (5, Level.INTERN, 15),
        (20, Level.SUPERVISED, 30),
        (49, Level.SUPERVISED, 1),
        (50, Level.AUTONOMOUS, None),
    ],
)
def test_capability_levels(successes: int, level: Level, missing: int | None) -> None:
    found = standing(uses(*[True] * successes), CapabilityRule())
    assert (found.level, found.to_next) == (level, missing)


def test_failures_never_raise_a_capability() -> None:
    rule = CapabilityRule()
    found = standing(uses(*[True] * 20, *[False] * 3), rule)
    assert (found.level, found.successes) == (Level.INTERN, 5)
    assert standing(uses(*[True] * 20, *[False] * 3, *[True] * 15), rule).level is Level.SUPERVISED


def test_a_reset_capability_starts_from_nothing_and_can_rise_again() -> None:
    rule, past = CapabilityRule(), uses(*[True] * 50)
    reset = past[-1].at
    assert standing([*past, *_after(reset, [False] * 3)], rule, reset_at=reset).successes == 0
    again = standing([*past, *_after(reset, [True] * 5)], rule, reset_at=reset)
    assert again.level is Level.INTERN


def _after(moment: datetime, outcomes: list[bool]) -> list[Use]:
    return [
        Use(moment + timedelta(minutes=i + 1), f"later-{i}", each)
        for i, each in enumerate(outcomes)
    ]


@given(st.lists(st.booleans(), max_size=80))
def test_one_more_failure_never_raises_a_capability(outcomes: list[bool]) -> None:
    rule = CapabilityRule()
    before = standing(uses(*outcomes), rule)
    after = standing(uses(*outcomes, False), rule)
    assert after.successes <= before.successes
    assert after.level.rank <= before.level.rank
