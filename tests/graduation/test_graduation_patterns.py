"""Patterns of rules: those that may take for ever are refused, and none holds up a check."""

import time
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from grindstone.graduation.constitution import matching
from grindstone.graduation.constitution.evaluate import Compliance, evaluate, suggested
from grindstone.graduation.constitution.matching import Looking, OverlongError
from grindstone.graduation.constitution.material import Action, Material
from grindstone.graduation.constitution.pack import Pack, RulePack

SLY = r"(.|\s)*x\d"
"""Not known for what it is when it is read: two ways to read a blank."""
HARD = " " * 200 + "x!"


@pytest.mark.parametrize(
    "pattern, said",
    [
        ("(a|aa)+$", "may take for ever"),
        ("(a|ab|b)*c", "may take for ever"),
        (r"^(\d|\d\d)+$", "may take for ever"),
        ("x(?:foo|foofoo|bar)*y", "may take for ever"),
        ("(?=([a-z]|[a-z0-9])+!)", "may take for ever"),
        ("a{99999999999}", "is no regular expression"),
        ("(" * 900 + ")" * 900, "nests too deep"),
        ("a" * 2_001, "is a pattern of 2001 characters"),
    ],
)
def test_a_pattern_that_cannot_be_used_says_so(pattern: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        pack(kind="pattern", pattern=pattern)


@pytest.mark.parametrize(
    "pattern", ["(a|ab)*c", r"(?:\d+[.,])+\d+", r"(?:rm|del)\w* .*", "(?!x)y+"]
)
def test_an_ordinary_pattern_is_taken(pattern: str) -> None:
    assert pack(kind="pattern", pattern=pattern)


def test_a_brace_that_repeats_nothing_is_a_brace() -> None:
    """`regex` would find `cat{e}` in what is one letter from it."""
    looking = Looking()
    assert looking.search("cat{e}", "a cut") is None
    assert looking.search("cat{e}", "A CAT{E}!")
    assert looking.search(r"\N{DIGIT ONE}{2}\{[{]x{,2}", "11{{")


@pytest.mark.parametrize(
    "rule, broken",
    [
        ({"kind": "pattern", "pattern": SLY}, True),
        ({"kind": "pattern", "pattern": rf"{SLY}\d", "must": "appear"}, False),
        ({"kind": "required_step", "step": rf"{SLY}\d"}, False),
        ({"kind": "required_step", "step": "q", "before": SLY}, False),
        ({"kind": "forbidden_action", "tool": "say", "arguments": SLY}, True),
        (
            {"kind": "forbidden_action", "tool": "say", "arguments": "x7", "unless": f"q|{SLY}"},
            False,
        ),
        ({"kind": "numeric", "text": rf"{SLY}(?P<value>\d)", "expected": 1}, False),
    ],
)
def test_an_action_made_to_be_hard_holds_nothing_up(
    rule: dict[str, Any], broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "TEXT_S", 0.05)
    begun = time.process_time()
    found = held(rule, HARD, "an x7 there")
    assert time.process_time() - begun < 5
    (undecided,) = found.undecided
    assert "takes too long over what was written" in undecided
    # What breaks the rule elsewhere does break it; nothing else is a breach, nor compliance.
    assert (found.score, len(found.violations)) == ((0.0, 1) if broken else (None, 0))


def test_many_such_actions_take_a_rule_no_longer_than_one_rule_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matching, "RULE_S", 0.2)
    begun = time.process_time()
    assert held({"kind": "pattern", "pattern": SLY}, *[HARD] * 500).score is None
    assert time.process_time() - begun < 5


def test_a_sign_that_takes_too_long_asks_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "TEXT_S", 0.05)
    made = pack(kind="pattern", pattern="y", signs=[SLY])
    assert suggested(made, material(HARD))
    with pytest.raises(OverlongError):
        list(Looking().every(SLY, HARD))


def pack(signs: Any = (), **rule: Any) -> Pack:
    whole = {"id": "A", "title": "t", "severity": "critical", **rule}
    return Pack(
        rules=RulePack.model_validate(
            {"name": "p", "version": "1", "signs": signs, "rules": [whole]}
        )
    )


def material(*texts: str) -> Material:
    actions = tuple(Action(index=n, tool="say", text=text) for n, text in enumerate(texts, 1))
    return Material(episode_id="one", day=date(2026, 1, 5), actions=actions)


def held(rule: dict[str, Any], *texts: str) -> Compliance:
    return evaluate(material(*texts), pack(**rule), demanded=True)
