"""What a file of policies, rules, facts or approvers says happens, or the file is refused."""

import base64
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from grindstone.errors import InputError
from grindstone.graduation.constitution.evaluate import evaluate
from grindstone.graduation.constitution.facts import load_facts
from grindstone.graduation.constitution.material import Material
from grindstone.graduation.constitution.pack import load_pack, load_packs
from grindstone.graduation.registry import open_desk
from grindstone.graduation.rules.people import load_approvers
from grindstone.graduation.rules.policy import Policy, load_policies, load_policy, policy_for
from grindstone.graduation.rules.scope import Scope, Subject
from grindstone.preflight import preflight
from grindstone.settings import GrindSettings, RouteSettings, RunSettings

STEP = "min_episodes: 10, max_intervention_rate: 0, min_constitutional_score: 0.7"
RULES = "name: p\nversion: '1'\nrules:\n- {id: A, title: t, %s}\n"
NODES = "[{id: A, kind: place}, {id: B, kind: place}, {id: T, kind: tax}, {id: g, kind: item}]"
FACTS = "name: f\nsources: {s: {title: t, as_of: 2025-01-01}}\nnodes: " + NODES + "\nfacts:\n"


def refused(load: Callable[[Path], object], path: Path, text: str) -> str:
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agents: []", "agents: "),
        ("agents: ['']", "agents.0: "),
        ("agents: ada", "agents: Input should be a valid list"),
        ("scope: {title: '^(?!London)'}", "scope.title: is no regular expression"),
        ("scope: {metadata: {rate: .nan}}", "scope.metadata: rate"),
        ("scopes: {woodstock: {}}", "scopes: 'woodstock' leaves nothing out"),
        ("level_scope: Wood stock", "level_scope: "),
        (f"steps: {{INTERN: {{{STEP}, groups_min_episodes: 3}}}}", "steps.INTERN: groups_min_ep"),
        (
            f"steps: {{INTERN: {{{STEP}, groups: [{{name: a, scope: {{tags: [x]}}}}, "
            "{name: a, scope: {tags: [y]}}]}}",
            "steps.INTERN: groups: two are called a",
        ),
        (
            f"steps: {{INTERN: {{{STEP}, groups: [{{name: a, scope: {{}}}}]}}}}",
            "steps.INTERN.groups.0: a leaves nothing out",
        ),
        ("approval: none\napprovers_needed: {AUTONOMOUS: 2}", "approvers_needed: "),
        ("approval: none\nseparate_duties: true", "separate_duties: "),
        ("approvers_needed: {STUDENT: 2}", "approvers_needed: nothing steps up to STUDENT"),
        ("demotion: {watch: {levels: [STUDENT]}}", "demotion.watch.levels: "),
        ("approval: ui\napproval: none", "line 3"),
        ("approval: ui\napproval: none", 'duplicate key "approval"'),
    ],
)
def test_a_policy_that_could_not_do_what_it_says_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    message = refused(load_policy, tmp_path / "p.yaml", f"name: p\n{text}\n")
    assert "p.yaml" in message
    assert said in message


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("kind: pattern, pattern: x, tools: '('", "tools: '(' is no regular expression"),
        ("kind: required_step, step: x, before: '('", "before: '(' is no regular expression"),
        ("kind: forbidden_action, unless: '('", "unless: '(' is no regular expression"),
        ("kind: recipient, unless: '('", "unless: '(' is no regular expression"),
        ("kind: judged, question: ''", "question: "),
        ("kind: numeric, expected: 1", "no number to look at"),
        ("kind: numeric, amount: [x], expected: 1", "amount and base"),
        ("kind: numeric, base: [x], values: [y], expected: 1", "amount and base"),
        ("kind: numeric, values: [x]", "one of expected and function"),
        ("kind: numeric, values: [x], expected: 1, function: sales_tax_rate", "one of expected"),
        ("kind: numeric, values: [x], expected: .nan", "expected: "),
        ("kind: numeric, values: [x], expected: 1, tolerance: .inf", "tolerance: "),
        ("kind: numeric, text: '(?P<value>x)', scale: 0, expected: 1", "scale: "),
        ("kind: numeric, values: [x], function: sales_tax_rate", "arguments: "),
        (
            "kind: numeric, values: [x], function: sales_tax_rate, arguments: {plaace: [p]}",
            "arguments: ",
        ),
        (
            "kind: numeric, values: [x], function: sales_tax_rate, arguments: {place: [p]}, "
            "optional: [itm]",
            "optional: ",
        ),
        (
            "kind: numeric, values: [x], function: sales_tax_rate, arguments: {place: [p]}, "
            "kinds: {itm: item}",
            "kinds: ",
        ),
        ("kind: sales_tax, aspect: rate", "facts: A asks the facts"),
        ("kind: shell, finds: wipe}\n- {id: A, title: u, kind: shell, finds: host", "called A"),
    ],
)
def test_a_rule_that_could_not_do_what_it_says_is_refused(
    tmp_path: Path, rule: str, said: str
) -> None:
    message = refused(load_pack, tmp_path / "p.yaml", RULES % rule)
    assert "p.yaml" in message
    assert said in message


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ("- {subject: A, relation: levy, object: T, rate: 0.1, source: s}", "relation: "),
        ("- {subject: A, relation: levies, object: T, source: s}", "rate"),
        ("- {subject: g, relation: free_of, object: T, rate: 0.1, source: s}", "rate"),
        ("- {subject: A, relation: levies, object: T, rate: 0.1, where: A, source: s}", "where"),
        ("- {subject: g, relation: free_of, object: T, asks: {colour: 3}, source: s}", "colour"),
        ("- {subject: g, relation: free_of, object: T, asks: {power_kw: g}, source: s}", "power"),
        ("- {subject: g, relation: free_of, object: T, asks: {buyer: g}, source: s}", "buyer"),
        ("- {subject: g, relation: levies, object: T, rate: 0.1, source: s}", "g is no place"),
        ("- {subject: g, relation: free_of, object: A, source: s}", "A is no tax"),
        (
            "- {subject: A, relation: levies, object: T, rate: 0.1, since: 2025-01-01, "
            "until: 2024-01-01, source: s}",
            "until",
        ),
        (
            "- {subject: A, relation: levies, object: T, rate: 0.1, source: s}\n"
            "- {subject: A, relation: levies, object: T, rate: 0.2, since: 2025-01-01, source: s}",
            "A levies T: twice at once",
        ),
    ],
)
def test_a_fact_that_nothing_reads_or_another_contradicts_is_refused(
    tmp_path: Path, facts: str, said: str
) -> None:
    message = refused(load_facts, tmp_path / "f.yaml", FACTS + facts + "\n")
    assert "f.yaml" in message
    assert said in message


def test_a_node_is_named_once(tmp_path: Path) -> None:
    text = FACTS.replace("{id: B", "{id: A")
    text += "- {subject: A, relation: levies, object: T, rate: 0.1, source: s}\n"
    assert "two nodes are called A" in refused(load_facts, tmp_path / "f.yaml", text)


def test_folders_of_rules_hide_nothing(tmp_path: Path) -> None:
    for load in (load_policies, load_packs):
        folder = tmp_path / load.__name__
        folder.mkdir()
        with pytest.raises(InputError, match="holds none"):
            load(folder)
        (folder / "mine.yml").write_text("name: p\n")
        with pytest.raises(InputError, match=r"mine\.yml: would not be read.*mine\.yaml"):
            load(folder)
    twice = tmp_path / "packs"
    twice.mkdir()
    for name in "ab":
        (twice / f"{name}.yaml").write_text(RULES % "kind: shell, finds: wipe")
    with pytest.raises(InputError, match="two packs are called p"):
        load_packs(twice)
    same = tmp_path / "policies"
    same.mkdir()
    for name in "ab":
        (same / f"{name}.yaml").write_text(f"name: {name}\nagents: ['ada*']\n")
    with pytest.raises(InputError, match=r"agents.*'ada\*' is in a and in b"):
        load_policies(same)


def test_a_homes_rules_are_its_own_or_the_bundled_ones(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "constitution").mkdir()
    assert {each.name for each in open_desk(tmp_path).policies} >= {"default", "medscribe"}
    (tmp_path / "policies").rmdir()
    (tmp_path / "policies").write_text("name: p\n")
    with pytest.raises(InputError, match="policies: no such folder"):
        open_desk(tmp_path)


def test_the_policy_that_names_an_agent_most_closely_governs_it() -> None:
    def governs(*patterns: str) -> str:
        names = tuple(
            Policy(name=f"p{index}", agents=(each,)) for index, each in enumerate(patterns)
        )
        return patterns[names.index(policy_for("ada", names))]

    assert governs("ada*", "ada") == "ada"
    assert governs("???", "a*") == "a*"
    assert governs("[abc]*", "ad*", "*") == "ad*"


def test_who_may_answer_is_never_anybody_by_a_slip(tmp_path: Path) -> None:
    path = tmp_path / "approvers.yaml"
    (tmp_path / "approvers.yml").write_text("approvers: [{name: Grace Hopper}]\n")
    with pytest.raises(InputError, match=r"approvers\.yml: would not be read"):
        load_approvers(path)
    (tmp_path / "approvers.yml").unlink()
    path.symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"approvers\.yaml"):
        load_approvers(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"approvers\.yaml"):
        load_approvers(path)


def test_one_key_is_one_person(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    raw = base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    people = f"[{{name: Grace, public_key: {raw}}}, "
    people += f"{{name: Linus, public_key: {base64.b64encode(der).decode()}}}]"
    said = refused(load_approvers, tmp_path / "approvers.yaml", f"approvers: {people}\n")
    assert "Grace and Linus have one key" in said


def test_a_number_in_a_scope_is_compared_as_a_number() -> None:
    asked = Scope(metadata={"rate": 1})
    assert asked.holds(Subject(metadata={"rate": 1.0}))
    assert Scope(metadata={"rate": 0.5}).holds(Subject(metadata={"rate": 0.50}))
    assert not asked.holds(Subject(metadata={"rate": 2}))
    assert not asked.holds(Subject(metadata={"rate": "high"}))


def test_a_tool_is_meant_whatever_the_case_of_its_letters(tmp_path: Path) -> None:
    from grindstone.graduation.constitution.material import Action

    path = tmp_path / "p.yaml"
    path.write_text(RULES % "kind: pattern, pattern: secret, tools: Quote", "utf-8")
    said = Material(
        episode_id="e",
        day=date(2026, 1, 5),
        actions=(Action(index=0, tool="quote", fields={"note": "a secret"}),),
    )
    assert len(evaluate(said, load_pack(path), demanded=True).violations) == 1


@pytest.mark.parametrize("flow", ["grind", "route"])
def test_a_run_begins_only_where_the_homes_own_rules_can_be_used(tmp_path: Path, flow: str) -> None:
    kinds: dict[str, type[RunSettings]] = {"grind": GrindSettings, "route": RouteSettings}
    settings = kinds[flow](work_dir=tmp_path, model_id="rehearsal")
    own = tmp_path / "policies" / "own.yaml"
    own.parent.mkdir()
    for text, said in {
        "name: own\npacks: [conduct, nope]\n": "policy own: packs: nope not found",
        "name: own\nagent: ada\n": "own.yaml: agent",
    }.items():
        own.write_text(text)
        with pytest.raises(InputError) as caught:
            preflight(flow, settings, {})
        assert said in str(caught.value)
