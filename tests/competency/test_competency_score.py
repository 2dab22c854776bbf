import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.competency import CompetencyEval, DependencyGraph
from grindstone.errors import InputError

DOCUMENTED = {"reasoning": 7, "memory": 6, "deployment": 4}
LINK = {("reasoning", "deployment"): 0.4}


def by_the_tables(domains, base, weights, lam=1.0):
    """The documents' formulas with plain loops; weights has both orders of every pair."""
    names = list(domains)
    v = sum(a * a for a in domains.values())
    c = 2 * sum(weights[i, j] * domains[i] * domains[j] for i, j in combinations(names, 2))
    u_max = base**2 * (len(names) + 2 * sum(weights[i, j] for i, j in combinations(names, 2)))
    kappa = {
        i: domains[i] * sum(weights[i, j] * domains[j] for j in names if j != i) for i in names
    }
    top = max(kappa.values())
    hat = {i: kappa[i] / top if top > 0 else 0.0 for i in names}
    priority = {i: (base - domains[i]) * (1 + lam * hat[i]) for i in names}
    return v, c, u_max, (v + c) / u_max, hat, priority


def test_the_documented_example():
    result = CompetencyEval(domains=DOCUMENTED, base=9, dependency=LINK).run()
    assert result.vertical == pytest.approx(101, abs=1e-9)
    assert result.crosswise == pytest.approx(154.4, abs=1e-9)
    assert result.integrated == pytest.approx(255.4, abs=1e-9)
    assert result.maximum == pytest.approx(631.8, abs=1e-9)
    assert result.index == pytest.approx(255.4 / 631.8, abs=1e-12)
    assert round(result.index, 5) == 0.40424
    assert result.deficits == {"reasoning": 2, "memory": 3, "deployment": 5}
    assert [round(value, 3) for value in result.priority.values()] == [3.612, 6.0, 7.667]
    assert result.weakest_domain() == "deployment"


def test_actions_come_most_urgent_first_and_only_above_the_threshold():
    ev = CompetencyEval(domains=DOCUMENTED, base=9, dependency=LINK)
    actions = ev.recommend_actions(deficit_threshold=1.0)
    assert [action.domain for action in actions] == ["deployment", "memory", "reasoning"]
    assert "4 of 9" in actions[0].reason
    assert [a.domain for a in ev.recommend_actions(deficit_threshold=3)] == ["deployment", "memory"]
    assert CompetencyEval({"a": 9, "b": 9}, base=9).recommend_actions() == []


unit = st.floats(0, 1)
levels = st.lists(unit, min_size=1, max_size=7)
bases = st.sampled_from([1.0, 5.0, 9.0, 10.0, 100.0])


@st.composite
def profiles(draw):
    ratios = draw(levels)
    base = draw(bases)
    names = [f"d{k}" for k in range(len(ratios))]
    domains = {name: ratio * base for name, ratio in zip(names, ratios, strict=True)}
    listed = {pair: draw(st.floats(0, 3)) for pair in combinations(names, 2) if draw(st.booleans())}
    default = draw(st.sampled_from([0.0, 0.3, 1.0]))
    full = {pair: listed.get(pair, default) for pair in combinations(names, 2)}
    full |= {(j, i): weight for (i, j), weight in full.items()}
    return domains, base, listed, default, full


@given(profiles())
def test_the_formulas_hold_for_any_profile(profile):
    domains, base, listed, default, full = profile
    result = CompetencyEval(domains, base, listed, default_weight=default).run()
    v, c, u_max, index, hat, priority = by_the_tables(domains, base, full)
    scale = base * base
    assert result.vertical == pytest.approx(v, abs=1e-9 * scale)
    assert result.crosswise == pytest.approx(c, abs=1e-9 * scale)
    assert result.maximum == pytest.approx(u_max, rel=1e-12)
    assert result.index == pytest.approx(index, abs=1e-9)
    assert 0 <= result.index <= 1
    assert 0 <= result.balanced_index <= 1
    for name in domains:
        assert result.centrality[name] == pytest.approx(hat[name], abs=1e-9)
        assert result.priority[name] == pytest.approx(priority[name], abs=1e-9 * base)


@given(levels, bases)
def test_with_all_weights_one_the_whole_is_the_sum_squared(ratios, base):
    domains = {f"d{k}": ratio * base for k, ratio in enumerate(ratios)}
    result = CompetencyEval(domains, base).run()
    assert result.integrated == pytest.approx(sum(domains.values()) ** 2, rel=1e-9, abs=1e-9)


@given(profiles(), st.randoms(use_true_random=False))
def test_the_order_of_the_domains_says_nothing(profile, chance):
    domains, base, listed, default, _ = profile
    shuffled = list(domains.items())
    chance.shuffle(shuffled)
    turned = {(j, i): weight for (i, j), weight in listed.items()}
    one = CompetencyEval(domains, base, listed, default_weight=default).run()
    two = CompetencyEval(shuffled, base, turned, default_weight=default).run()
    assert two.index == pytest.approx(one.index, abs=1e-12)
    assert two.balanced_index == pytest.approx(one.balanced_index, abs=1e-12)
    for name, value in one.priority.items():
        assert two.priority[name] == pytest.approx(value, abs=1e-9)


@given(profiles(), st.integers(0, 6), unit)
def test_more_competency_lowers_nothing(profile, which, share):
    domains, base, listed, default, _ = profile
    name = list(domains)[which % len(domains)]
    raised = domains | {name: domains[name] + share * (base - domains[name])}
    raised[name] = min(raised[name], base)
    before = CompetencyEval(domains, base, listed, default_weight=default).run()
    after = CompetencyEval(raised, base, listed, default_weight=default).run()
    slack = 1e-9 * base * base
    for figure in ("vertical", "crosswise", "integrated"):
        assert getattr(after, figure) >= getattr(before, figure) - slack
    assert after.index >= before.index - 1e-12
    assert after.balanced_index >= before.balanced_index - 1e-12


@given(st.floats(0, 100))
def test_balance_beats_imbalance_at_every_weight(weight):
    link = {("a", "b"): weight}
    even = CompetencyEval({"a": 5, "b": 5}, 10, link).run()
    uneven = CompetencyEval({"a": 10, "b": 0}, 10, link).run()
    assert even.balanced_index == pytest.approx(0.5)
    assert uneven.balanced_index <= 0.25
    assert "b (0 of 10) holds it down" in uneven.balance_reason
    assert "level" in even.balance_reason


def test_the_documented_index_rewards_imbalance_below_weight_one():
    link = {("a", "b"): 0.4}
    assert (
        CompetencyEval({"a": 10, "b": 0}, 10, link).run().index
        > CompetencyEval({"a": 5, "b": 5}, 10, link).run().index
    )


@given(profiles(), st.data())
def test_the_balanced_index_is_concave(profile, data):
    domains, base, listed, default, _ = profile
    other = {name: data.draw(unit) * base for name in domains}
    middle = {name: (domains[name] + other[name]) / 2 for name in domains}
    one, two, mean = (
        CompetencyEval(each, base, listed, default_weight=default).run().balanced_index
        for each in (domains, other, middle)
    )
    assert mean >= (one + two) / 2 - 1e-9


def test_an_unknown_domain_stays_and_never_raises_the_index():
    known = CompetencyEval({"a": 9, "b": 1, "c": 8}, 10).run()
    lost = CompetencyEval({"a": 9, "b": None, "c": 8}, 10).run()
    left_out = CompetencyEval({"a": 9, "c": 8}, 10).run()
    assert lost.index < known.index < left_out.index
    assert lost.unknown == ("b",)
    assert lost.deficits["b"] is None
    assert lost.priority["b"] is None
    assert lost.index_if_mastered > known.index
    assert "b" not in [action.domain for action in lost.actions()]
    nothing = CompetencyEval({"a": None}, 10).run()
    assert nothing.index == 0
    assert nothing.weakest_domain() is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"domains": {}}, "domains"),
        ({"domains": {"a": math.nan}}, "domains['a']"),
        ({"domains": {"a": math.inf}}, "domains['a']"),
        ({"domains": {"a": -0.1}}, "domains['a']"),
        ({"domains": {"a": 10.5}}, "domains['a']"),
        ({"domains": {"a": True}}, "domains['a']"),
        ({"domains": {"a": "7"}}, "domains['a']"),
        ({"domains": {" ": 1}}, "domains"),
        ({"domains": [("a", 1), ("a", 2)]}, "twice"),
        ({"domains": {"SQL": 1, "sql": 2}}, "twice"),
        ({"base": 0}, "base"),
        ({"base": math.nan}, "base"),
        ({"base": -1}, "base"),
        ({"dependency": {("a", "x"): 1}}, "'x' is no domain"),
        ({"dependency": {("a", "a"): 1}}, "itself"),
        ({"dependency": {("a", "b"): -1}}, "dependency[('a', 'b')]"),
        ({"dependency": {("a", "b"): math.nan}}, "dependency[('a', 'b')]"),
        ({"dependency": {("a", "b"): math.inf}}, "dependency[('a', 'b')]"),
        ({"dependency": {("a", "b"): "strong"}}, "dependency[('a', 'b')]"),
        ({"dependency": {("a", "b"): 1, ("b", "a"): 2}}, "the other way round"),
        ({"dependency": {"ab": 1}}, "'ab'"),
        ({"dependency": {("a", "b", "c"): 1}}, "a pair of domains"),
        ({"dependency": np.ones((2, 2))}, "diagonal"),
        ({"dependency": np.array([[0.0, 1.0], [2.0, 0.0]])}, "symmetric"),
        ({"dependency": np.zeros((3, 3))}, "shape"),
        ({"default_weight": -1}, "default_weight"),
        ({"centrality_weight": math.nan}, "centrality_weight"),
    ],
)
def test_unusable_input_is_refused_by_name(arguments, named):
    usable = {"domains": {"a": 1, "b": 2}, "base": 10}
    with pytest.raises(InputError) as refused:
        CompetencyEval(**(usable | arguments))
    assert named in str(refused.value)


def test_a_pair_given_in_both_orders_with_one_weight_is_one_pair():
    both = CompetencyEval(DOCUMENTED, 9, {**LINK, ("deployment", "reasoning"): 0.4}).run()
    assert both.index == CompetencyEval(DOCUMENTED, 9, LINK).run().index


def test_a_graph_serves_many_scores():
    graph = DependencyGraph(list(DOCUMENTED), LINK)
    one = CompetencyEval(DOCUMENTED, 9, graph).run()
    assert one == CompetencyEval(DOCUMENTED, 9, LINK).run()
    with pytest.raises(InputError, match="other domains"):
        CompetencyEval({"reasoning": 1}, 9, graph)


def test_results_print_as_tables(capsys):
    result = CompetencyEval({**DOCUMENTED, "law[x]": None}, 9).run()
    result.print_summary()
    result.print_results()
    shown = capsys.readouterr().out
    assert "Competency index" in shown
    assert "deployment" in shown
    assert "law[x]" in shown
    assert "unknown" in shown
