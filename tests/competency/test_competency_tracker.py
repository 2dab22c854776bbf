import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.competency import CompetencyTracker, DomainSpec, OutcomeLog
from grindstone.errors import InputError
from grindstone.ledger import Ledger


def test_the_average_moves_as_documented():
    tracker = CompetencyTracker(base=10, seed={"python": 9, "sql": 4})
    assert tracker.competency("python") == 9
    assert tracker.competency("law") == 5
    assert tracker.record("sql", True) == pytest.approx(0.7 * 4 + 0.3 * 10)
    assert tracker.record("sql", False) == pytest.approx(0.7 * 5.8)
    assert tracker.record("law", True, value=7) == pytest.approx(0.7 * 5 + 0.3 * 7)
    assert tracker.evidence("sql") == 2
    assert tracker.competencies().keys() == {"python", "sql", "law"}


def test_a_signal_is_read_anew_every_time():
    tracker = CompetencyTracker(base=10)
    spec = DomainSpec("sql", tracker.signal("sql"))
    assert spec.signal() == 5
    tracker.record("sql", True)
    assert spec.signal() == pytest.approx(6.5)


@given(st.lists(st.booleans(), max_size=40), st.floats(0, 1), st.sampled_from([1.0, 9.0, 100.0]))
def test_the_average_never_leaves_the_scale(outcomes, start, base):
    tracker = CompetencyTracker(base=base, seed={"d": start * base})
    for success in outcomes:
        before = tracker.competency("d")
        after = tracker.record("d", success)
        assert 0 <= after <= base
        assert after >= before - 1e-9 if success else after <= before + 1e-9


@pytest.mark.parametrize("seed", [math.nan, math.inf, -1, 10.01, True, "9"])
def test_seeds_off_the_scale_are_refused(seed):
    with pytest.raises(InputError, match="seed"):
        CompetencyTracker(base=10, seed={"d": seed})


def test_what_is_no_outcome_is_refused():
    tracker = CompetencyTracker(base=10)
    for arguments in (("d", 1), ("d", math.nan), ("d", None), ("", True)):
        with pytest.raises(InputError):
            tracker.record(*arguments)
    for value in (math.nan, -1, 11):
        with pytest.raises(InputError, match="value"):
            tracker.record("d", True, value=value)
    assert tracker.evidence("d") == 0
    for alpha in (0, 1.5, math.nan):
        with pytest.raises(InputError, match="alpha"):
            CompetencyTracker(alpha=alpha)


def kept(home, member="ada", **options):
    return CompetencyTracker(base=10, log=OutcomeLog(Ledger(home), member), **options)


def test_outcomes_outlive_the_object_and_are_each_members_own(tmp_path):
    first = kept(tmp_path)
    levels = [first.record("sql", success) for success in (True, False, True)]
    again = kept(tmp_path)
    assert again.competency("sql") == levels[-1]
    assert kept(tmp_path, "bob").competency("sql") == 5
    assert again.record("sql", True) == first.competency("sql")


def test_the_same_outcome_twice_counts_once(tmp_path):
    for tracker in (kept(tmp_path), CompetencyTracker(base=10)):
        for _ in range(3):
            tracker.record("sql", True, outcome_id="episode-1")
        assert tracker.evidence("sql") == 1


@pytest.mark.slow
def test_no_outcome_is_lost_to_a_race(tmp_path):
    trackers = [kept(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(tracker.record, "sql", k % 3 > 0, outcome_id=f"{t}-{k}")
            for k in range(12)
            for t, tracker in enumerate(trackers)
        ]
        for job in jobs:
            job.result()
    assert {tracker.evidence("sql") for tracker in trackers} == {48}
    assert len({tracker.competency("sql") for tracker in trackers}) == 1


PROGRAM = """
import sys
from grindstone.competency import CompetencyTracker, OutcomeLog
from grindstone.ledger import Ledger
tracker = CompetencyTracker(base=10, log=OutcomeLog(Ledger(sys.argv[1]), "ada"))
for k in range(5):
    tracker.record("sql", True, outcome_id=f"{sys.argv[2]}-{k}")
"""


@pytest.mark.commands
def test_no_outcome_is_lost_between_processes(tmp_path):
    running = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), name]) for name in "ab"
    ]
    assert [process.wait(100) for process in running] == [0, 0]
    assert kept(tmp_path).evidence("sql") == 10
