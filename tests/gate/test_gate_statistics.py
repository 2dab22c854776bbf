"""The gate's statistics against enumeration, closed forms, scipy, and what they promise."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binomtest, permutation_test

from grindstone.errors import InputError
from grindstone.gate import (
    CannotTell,
    Pair,
    compare_paired,
    decide,
    detectable_effect,
    pairs_needed,
    rule_of,
    sentence,
    settled,
    summarise,
)
from grindstone.gate.exact import share
from grindstone.gate.power import sign_test_power, simulated_power
from grindstone.gate.rules import least_tasks
from grindstone.gate.signflip import sign_flip_p, sign_flip_test, sign_test
from grindstone.settings import GateOptions

RULES = [rule_of("threshold", threshold=0.4), rule_of("no_regression"), rule_of("improvement")]
SCORES = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0])


def pairs_of(*scores: tuple[float | None, float | None]) -> list[Pair]:
    return [Pair(task_id=f"t{i}", baseline=b, candidate=c) for i, (b, c) in enumerate(scores)]


def test_a_reason_names_the_clusters_that_were_counted():
    alone = [Pair(task_id=f"t{n}", baseline=0, candidate=1) for n in range(6)]
    pairs = [Pair(task_id=f"p{n}", cluster=str(n // 2), baseline=0, candidate=1) for n in range(12)]
    for name in ("higher", "no_regression", "improvement"):
        judged = [rule_of(name).judge(compare_paired(seen)).reason for seen in (alone, pairs)]
        assert "over 6 tasks" in judged[0]
        assert "over 12 tasks in 6 clusters" in judged[1]


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 2)), min_size=1, max_size=9))
@settings(deadline=None)
def test_sign_flip_is_the_enumeration_of_all_signs(differences: list[float]):
    steps = np.rint(np.array(differences) * 2520)
    sums = [
        sum(sign * abs(step) for sign, step in zip(signs, steps, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(steps))
    ]
    found = sign_flip_test(differences)
    assert found.worse == pytest.approx(np.mean([s <= steps.sum() for s in sums]))
    assert found.better == pytest.approx(np.mean([s >= steps.sum() for s in sums]))


def test_sign_flip_agrees_with_scipys_permutation_test():
    before, after = np.array([1, 0.5, 1, 1, 0, 1, 0.75]), np.array([0, 0.5, 0.25, 0, 1, 0.5, 0])
    scipy = permutation_test(
        (after, before),
        lambda a, b: np.mean(a - b),
        permutation_type="samples",
        alternative="less",
        n_resamples=np.inf,
    )
    assert sign_flip_test(list(after - before)).worse == pytest.approx(scipy.pvalue)


@given(st.integers(0, 40), st.integers(0, 40))
def test_with_single_binary_trials_it_is_the_sign_test(wins: int, losses: int):
    flips = sign_flip_test([1.0] * wins + [-1.0] * losses + [0.0] * 3)
    signs = sign_test(wins, losses)
    assert flips == pytest.approx(signs)
    if wins + losses:
        scipy = binomtest(wins, wins + losses, alternative="greater").pvalue
        assert signs.better == pytest.approx(scipy)


def test_many_experiments_at_once_are_the_same_as_one_by_one():
    steps = np.random.default_rng(1).integers(-3, 4, (50, 11))
    worse, better = sign_flip_p(steps)
    for row, one, other in zip(steps, worse, better, strict=True):
        assert tuple(sign_flip_test(list(row / 3))) == pytest.approx((one, other))


def test_five_of_five_is_the_least_that_says_anything_at_five_percent():
    assert sign_test(5, 0).better == 1 / 32
    assert sign_test(4, 0).better > 0.05
    assert least_tasks(0.05) == 5
    assert least_tasks(1 / 32) == 5


def test_a_comparison_counts_tasks_not_trials_and_leaves_missing_pairs_out():
    pairs = [
        *(Pair(task_id="a", trial=n, baseline=1, candidate=0) for n in range(3)),
        Pair(task_id="b", trial=0, baseline=0, candidate=1),
        Pair(task_id="b", trial=1, baseline=0, candidate=0),
        Pair(task_id="c", trial=0, baseline=1, candidate=None),
        Pair(task_id="c", trial=1, baseline=0.5, candidate=0.5),
        Pair(task_id="d", trial=0, baseline=None, candidate=None),
    ]
    seen = compare_paired(pairs)
    assert (seen.n_pairs, seen.n_missing, seen.n_tasks) == (6, 2, 3)
    assert (seen.wins, seen.losses, seen.ties) == (1, 1, 1)
    assert seen.baseline_mean == pytest.approx((1 + 0 + 0.5) / 3)
    assert seen.candidate_mean == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert seen.difference == pytest.approx(-1 / 6)
    assert seen.interval_low < seen.difference < seen.interval_high
    assert seen.p_worse == pytest.approx(0.5)  # flips: ±1 ±½; half of them at most -½


def test_nothing_seen_is_nothing_claimed():
    seen = compare_paired(pairs_of((None, 1.0), (0.0, None)))
    assert seen.difference is seen.interval_low is seen.baseline_mean is None
    assert seen.p_worse == seen.p_better == seen.sign_p_two_sided == 1.0
    for rule in RULES:
        assert rule.judge(seen).verdict == "cannot_tell"
        assert not decide(rule, seen, CannotTell.UNLESS_LOWER).accepted


def test_a_pair_given_twice_is_refused():
    with pytest.raises(InputError, match="appears twice"):
        compare_paired([Pair(task_id="a"), Pair(task_id="a")])


@pytest.mark.parametrize(
    ("rule", "pairs", "verdict"),
    [
        ("no_regression", pairs_of(*[(1, 0)] * 5), "reject"),
        ("no_regression", pairs_of(*[(1, 0)] * 4, (1, 1)), "accept"),
        ("no_regression", pairs_of(*[(1, 0)] * 4), "cannot_tell"),
        ("no_regression", pairs_of(*[(0, 1)] * 5), "accept"),
        ("improvement", pairs_of(*[(0, 1)] * 5), "accept"),
        ("improvement", pairs_of(*[(1, 1)] * 20), "reject"),
        ("improvement", pairs_of(*[(0, 1)] * 4), "cannot_tell"),
        ("threshold", pairs_of((None, 1)), "cannot_tell"),
        ("threshold", pairs_of((1, 1), (1, 0)), "accept"),
        ("threshold", pairs_of((1, 0), (1, 0)), "reject"),
    ],
)
def test_rules(rule: str, pairs: list[Pair], verdict: str):
    threshold = 0.4 if rule == "threshold" else 0.0
    judged = rule_of(rule, threshold=threshold).judge(compare_paired(pairs))
    assert judged.verdict == verdict, judged.reason


def test_the_mean_below_the_threshold_is_rejected_by_every_rule():
    seen = compare_paired(pairs_of(*[(0, 0)] * 9, (0, 1)))
    for name in ("threshold", "no_regression", "improvement"):
        assert rule_of(name, threshold=0.5).judge(seen).verdict == "reject"


@pytest.mark.parametrize(
    ("policy", "pairs", "accepted"),
    [
        (CannotTell.ACCEPT, pairs_of((1, 0)), True),
        (CannotTell.REJECT, pairs_of((0, 1)), False),
        (CannotTell.UNLESS_LOWER, pairs_of((1, 0), (0, 0)), False),
        (CannotTell.UNLESS_LOWER, pairs_of((0, 0), (1, 1)), True),
    ],
)
def test_a_policy_follows_where_a_rule_cannot_tell(
    policy: CannotTell, pairs: list[Pair], accepted: bool
):
    decision = decide(rule_of("no_regression"), compare_paired(pairs), policy)
    assert (decision.verdict, decision.accepted) == ("cannot_tell", accepted)
    assert "policy" in decision.reason


@pytest.mark.slow
@given(
    st.sampled_from(RULES),
    st.lists(st.tuples(SCORES, SCORES, st.integers(0, 9)), min_size=1, max_size=14),
    st.integers(0, 13),
)
@settings(deadline=None, max_examples=300)
def test_stopping_early_never_changes_the_verdict(rule, scores, cut):
    """Whatever the remaining pairs turn out to be, missing ones included."""
    everything = [
        Pair(task_id=f"t{n // 2}", trial=n % 2, baseline=b, candidate=c if luck else None)
        for n, (b, c, luck) in enumerate(scores)
    ]
    done, rest = everything[:cut], everything[cut:]
    unseen = [
        p.model_copy(update={"candidate": None, "baseline": p.baseline if n % 2 else None})
        for n, p in enumerate(rest)
    ]
    if settled(rule, done, unseen):
        assert (
            rule.judge(compare_paired(done)).verdict
            == rule.judge(compare_paired(everything)).verdict
        )


def test_stopping_early_saves_attempts_where_the_answer_is_plain():
    pending = [Pair(task_id=f"p{n}") for n in range(4)]
    same = pairs_of(*[(1, 1)] * 8)
    assert settled(rule_of("no_regression"), same, pending)
    assert not settled(rule_of("no_regression"), same[:6], [*pending, Pair(task_id="q")])
    cannot_fall = [Pair(task_id=f"p{n}", baseline=0.0) for n in range(20)]
    assert settled(rule_of("no_regression"), same[:5], cannot_fall)
    assert not settled(rule_of("no_regression"), same[:4], cannot_fall)
    assert settled(rule_of("improvement"), same, pending)


@pytest.mark.parametrize(
    ("rate", "one_sided", "lasting", "two_sided"),
    [(0.6, 158, 169, 199), (0.7, 37, 42, 49), (0.8, 18, 18, 20), (0.9, 8, 11, 12)],
)
def test_pairs_needed_for_power(rate: float, one_sided: int, lasting: int, two_sided: int):
    assert pairs_needed(rate) == (one_sided, lasting)
    assert pairs_needed(rate, two_sided=True).first == two_sided
    assert sign_test_power(one_sided, rate)[0] >= 0.8 > sign_test_power(one_sided - 1, rate)[0]


def test_the_detectable_effect_has_its_power_and_one_step_less_has_not():
    effect = detectable_effect(12, 3)
    assert simulated_power(12, 3, effect) >= 0.8 > simulated_power(12, 3, effect - 0.05)
    assert detectable_effect(4, 100) is None
    assert detectable_effect(5, 1) == 1.0
    assert detectable_effect(40, 3) < effect


def test_the_sentence_said_before_a_run():
    said = sentence(12, 3, alpha=0.05, direction="drop")
    assert said.startswith("With 12 tasks × 3 trials this gate can see a drop of 35 points")  # noqa: RUF001
    assert "no rise at all" in sentence(2, 1, alpha=0.05, direction="rise")
    assert "no claim" in sentence(40, 3, alpha=0.05, direction="search")
    assert "compares nothing" in sentence(2, 1, alpha=0.05, direction="none")


@pytest.mark.parametrize(("count", "of"), [(0, 10), (3, 10), (10, 10), (41, 200)])
def test_exact_intervals(count: int, of: int):
    found = share(count, of)
    expected = binomtest(count, of).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_calibration_sums_up_verdicts():
    found = summarise(["accept"] * 9 + ["reject"])
    assert (found.kind, found.rejects.count, found.accepts.value) == ("A/A", 1, 0.9)
    assert summarise([], handicap=0.3).rejects.value is None
    assert str(found.rejects) == "1 of 10 = 10% (95%: 0% to 45%)"


@pytest.mark.commands
def test_importing_the_room_is_cheap():
    code = "import sys, grindstone.gate; print({'numpy', 'scipy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_threshold_rule_without_a_threshold_is_refused():
    with pytest.raises(InputError, match="one above 0"):
        rule_of("threshold")
    with pytest.raises(ValidationError, match="threshold needs a gate_threshold above 0"):
        GateOptions(gate_rule="threshold")
    assert GateOptions(gate_rule="threshold", gate_threshold=0.5).gate_threshold == 0.5
