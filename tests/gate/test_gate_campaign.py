"""Whole campaigns, simulated: what searching flatters and what a sealed release may say."""

import json
import subprocess
import sys

import pytest

from grindstone.errors import InputError
from grindstone.gate import (
    Campaign,
    Pair,
    PairedComparison,
    compare_paired,
    parse_effects,
    rule_of,
    simulate_campaigns,
)
from grindstone.gate.rules import CannotTell, decide, near_edge, settled


def odds(**changes: object):
    return simulate_campaigns(Campaign(**changes), campaigns=400, seed=1)


def test_where_nothing_works_the_search_flatters_and_the_release_does_not():
    seen = odds(effects=parse_effects("0:1"))
    assert seen.true_gain == 0
    assert seen.search_gain > 10
    assert abs(seen.released_gain) < 1
    assert seen.claims == seen.false_claims <= 0.07
    assert seen.right_claims == 0


@pytest.mark.slow
def test_searching_by_the_higher_mean_gains_more_than_asking_for_no_proof_of_harm():
    assert odds(rule="higher").true_gain > 2 * odds(rule="no_regression", anchor=False).true_gain


def test_the_anchor_drops_what_drifted_below_the_start():
    harmful = parse_effects("-3:1")
    drifting = odds(rule="no_regression", effects=harmful, anchor=False)
    assert odds(rule="no_regression", effects=harmful).true_gain > drifting.true_gain


def test_without_sealed_tasks_nothing_is_claimed():
    seen = odds(sealed=0)
    assert (seen.released_gain, seen.claims) == (None, 0)
    assert "nothing can be claimed" in seen.told()


def test_attempts_are_those_of_the_plan():
    # Start, ten candidates that are all refused, and a release of two sides.
    seen = odds(rule="improvement", changes=10, effects=parse_effects("-100:1"))
    assert seen.attempts == 20 * 3 * 11 + 2 * 20 * 3
    # A second look tries candidate and best as often again; the best's is not tried a third time.
    plain, looking = (odds(changes=1, second_looks=looks).attempts for looks in (0, 1))
    assert plain < looking <= plain + 2 * 20 * 3


@pytest.mark.slow
def test_second_looks_find_more_than_the_same_attempts_spent_evenly():
    looking, even = odds(second_looks=20, trials=2), odds(second_looks=0, trials=3)
    assert looking.true_gain / looking.attempts > 0.95 * even.true_gain / even.attempts
    assert looking.true_gain > even.true_gain


def test_only_what_more_trials_could_turn_round_is_near_the_edge():
    def seen(*differences: int) -> PairedComparison:
        each = enumerate(differences)
        return compare_paired(
            Pair(task_id=str(n), baseline=d < 0, candidate=d > 0) for n, d in each
        )

    assert near_edge(seen(1, -1, 0, 0))
    assert near_edge(seen(1, 1, 1, -1, -1))
    assert not near_edge(seen(1, 0, 0, 0))
    assert not near_edge(seen(0, 0, 0, 0))
    assert not near_edge(seen(1, 1, 1, 1))
    assert not near_edge(seen(-1, -1, -1, 0))


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures():
    assert odds() == odds()


def test_higher_keeps_a_strictly_higher_mean_alone():
    rule = rule_of("higher")
    pairs = [Pair(task_id=str(n), baseline=0.5, candidate=0.5) for n in range(3)]
    assert rule.judge(compare_paired(pairs)).verdict == "reject"
    pairs.append(Pair(task_id="more", baseline=0.0, candidate=0.25))
    judged = rule.judge(compare_paired(pairs))
    assert judged.verdict == "accept"
    assert "while searching" in judged.reason
    assert rule.judge(compare_paired([])).verdict == "cannot_tell"


def test_where_all_passed_before_nothing_can_be_higher_and_the_policy_decides():
    rule = rule_of("higher")
    full = [Pair(task_id=str(n), baseline=1.0, candidate=1.0) for n in range(3)]
    decided = decide(rule, compare_paired(full), CannotTell.UNLESS_LOWER)
    assert (decided.verdict, decided.accepted) == ("cannot_tell", True)
    assert "nothing could score higher" in decided.reason
    assert not decide(rule, compare_paired(full), CannotTell.REJECT).accepted
    pending = [Pair(task_id="more", baseline=1.0)]
    assert not settled(rule, full, pending), "harm can still show"
    fell = [*full, Pair(task_id="more", baseline=1.0, candidate=0.0)]
    assert rule.judge(compare_paired(fell)).verdict == "reject"


@pytest.mark.parametrize("text", ["", "6", "6:1:2", "a:1", "6:.5", "6:.5,0:.6", "200:1", "6:nan"])
def test_effects_that_make_no_whole_are_refused(text: str):
    with pytest.raises(InputError, match=r"points:share"):
        parse_effects(text)


@pytest.mark.commands
def test_the_command_prints_the_documented_figures():
    command = [sys.executable, "-m", "grindstone.flows.cli", "gate", "simulate"]
    plan = "--tasks 40 --trials 3 --changes 5 --effects +6:.25,0:.5,-6:.25 --sealed 20"
    done = subprocess.run(
        [*command, *plan.split(), "--campaigns", "50", "--usd-per-attempt", "0.1", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert {"true_gain", "search_gain", "released_gain", "claims", "false_claims"} <= set(found)
    assert {"ends_worse", "attempts"} <= set(found)
    assert found["cost_usd"] == pytest.approx(found["attempts"] * 0.1, abs=0.01)
    refused = subprocess.run(
        [*command, "--sealed", "40"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "--sealed: is 40; expected fewer than tasks" in refused.stderr


def test_every_rule_can_be_simulated_and_a_threshold_must_be_named():
    for rule in ("higher", "no_regression", "improvement"):
        assert odds(rule=rule, changes=1).campaigns == 400
    assert odds(rule="threshold", threshold=0.5, changes=1).campaigns == 400
    with pytest.raises(InputError, match="threshold"):
        odds(rule="threshold", changes=1)
