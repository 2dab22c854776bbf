"""Rule files that say what cannot be meant are refused as they are read, by file and field."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from grindstone.errors import InputError
from grindstone.graduation.constitution.endless import endless
from grindstone.graduation.constitution.pack import load_pack
from grindstone.graduation.rules.people import Approver, Approvers
from grindstone.graduation.rules.policy import Policy, policy_for

STEP = {"min_episodes": 10, "max_intervention_rate": 0.5, "min_constitutional_score": 0.5}


@pytest.mark.parametrize(
    "given, field",
    [
        ({"steps": {"INTERN": STEP | {"min_episodes": True}}}, "min_episodes: is true"),
        ({"steps": {"INTERN": STEP | {"max_intervention_rate": True}}}, "max_intervention_rate"),
        ({"steps": {"INTERN": STEP | {"min_episodes": 10**30}}}, "min_episodes"),
        ({"demotion": {"failures_in_a_row": False}}, "failures_in_a_row: is true or false"),
        ({"approvers_needed": {"AUTONOMOUS": True}}, "approvers_needed: is true or false"),
        ({"streaks": {"simple": True}}, "streaks: is true or false"),
        ({"capabilities": {"intern": True}}, "intern: is true or false"),
        ({"packs": ["conduct", "conduct"]}, "conduct is named twice"),
        ({"agents": ["ada "]}, "no agent's name begins or ends as 'ada ' does"),
    ],
)
def test_a_policy_takes_no_truth_value_for_a_number_and_nothing_twice(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError, match=field):
        Policy.model_validate({"name": "p"} | given)


def test_truth_values_stay_where_they_are_asked_for() -> None:
    given = {"rehearsals": True, "exam": {"required": False}}
    more = {"scope": {"metadata": {"vip": True}}, "demotion": {"watch": None}}
    assert Policy.model_validate({"name": "p"} | given | more).exam.required is False


@pytest.mark.parametrize(
    "rules, said",
    [
        ("kind: pattern, must: appear, pattern: ''", "is found in any text"),
        ("kind: required_step, step: '(verify)?'", "is found in any text"),
        ("kind: required_step, step: verify, before: ''", "is found in any text"),
        ("kind: forbidden_action, tool: rm, unless: 'x*'", "is found in any text"),
        ("kind: recipient, unless: ''", "is found in any text"),
        ("kind: forbidden_action, tool: ''", "tool"),
        ("kind: pattern, pattern: x, tools: ''", "tools"),
        ("kind: numeric, values: [x], expected: true", "expected: is true or false"),
        ("kind: pattern, pattern: '(a+)+$'", "may take for ever"),
        (
            "kind: pattern, pattern: x}\n"
            "- {id: b, title: t, kind: pattern, pattern: x, must: appear",
            "nothing meets both a and b",
        ),
        (
            "kind: numeric, values: [x], expected: 1}\n"
            "- {id: b, title: t, kind: numeric, values: [x], expected: 2",
            "nothing meets both a and b",
        ),
    ],
)
def test_a_rule_that_cannot_fire_or_always_does_is_refused(
    rules: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "pack.yaml"
    path.write_text(f"name: p\nversion: '1'\nrules:\n- {{id: a, title: t, {rules}}}\n")
    with pytest.raises(InputError, match=said) as refused:
        load_pack(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", r"(\w+\s?)*x", "(.*,)*x", "(a|b+)+x", "(?:(a+))+x", "(x+x+)+y", "(a{2,})+b"],
)
def test_a_repeat_that_nothing_parts_is_endless(pattern: str) -> None:
    assert endless(pattern)


@pytest.mark.parametrize(
    "pattern", [r"(\w+\s)*x", "a+b+", "((ab)*c)*", "(a{1,3}){2}", "x*", r"(?:\d+[.,])+\d+"]
)
def test_a_repeat_that_something_parts_is_let_pass(pattern: str) -> None:
    assert not endless(pattern)
    re.compile(pattern).search("ab " * 10_000)


def test_a_name_in_brackets_is_a_name() -> None:
    wide, own = Policy(name="wide", agents=("sales*",)), Policy(name="own", agents=("sales[1]",))
    assert policy_for("sales[1]", (wide, own)) == own
    assert policy_for("sales1", (wide, own)) == wide
    one = Approvers(approvers=(Approver(name="Grace", scopes=("sales[1]",)),))
    assert one.person("Grace", "approve", "sales[1]").name == "Grace"
