import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skills_ref import validator

from grindstone.skills import Skill, SkillError, parse_skill, raise_version, read_skill, render
from grindstone.skills import validate as check
from grindstone.skills.format import next_version
from grindstone.skills.rules import validate_text

SEEDS = Path(__file__).parents[2] / "seed_workspaces" / "skillbench" / "skills"

SEED_SPELLING = """---
name: financial-modeling
description: >
  When building Excel sheets
  with formulas.
# kept by hand
category: financial-modeling
version: 3
---

## Overview

Text — with ünïcode.
"""

VARIANTS = {
    "lf": SEED_SPELLING,
    "crlf": SEED_SPELLING.replace("\n", "\r\n"),
    "bom": "\ufeff" + SEED_SPELLING,
    "no final newline": SEED_SPELLING.rstrip("\n"),
    "many final newlines": SEED_SPELLING + "\n\n\n",
    "no blank after the head": SEED_SPELLING.replace("---\n\n##", "---\n##"),
    "rule in the body": SEED_SPELLING + "\n---\n\nmore\n",
    "line separator": SEED_SPELLING + "a\u2028b\x0bc\n",
    "quoted": '---\nname: \'a\'\ndescription: "b: c"\nmetadata:\n    version:   "1"\n---\n',
}


@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS.keys())
def test_an_unchanged_skill_is_written_back_byte_for_byte(text):
    assert render(parse_skill(text.encode())).encode() == text.encode()


def test_the_seeds_spelling_is_read_and_mended_once_something_changes():
    old = parse_skill(SEED_SPELLING)
    assert (old.category, old.version) == ("financial-modeling", "3")
    assert {p.field for p in check(old)} == {"category", "version"}
    assert all(p.spelling for p in check(old))
    text = render(raise_version(old, old.model_copy(update={"body": "## Overview\n\nNew."})))
    assert "# kept by hand" in text
    assert "When building Excel sheets\n  with formulas." in text
    again = parse_skill(text)
    assert (again.version, again.category, again.body) == (
        "4",
        "financial-modeling",
        "## Overview\n\nNew.",
    )
    assert check(again) == ()


@pytest.mark.parametrize("form", ["crlf", "bom"])
def test_a_change_keeps_line_endings_and_byte_order_mark(form):
    text = VARIANTS[form]
    changed = render(parse_skill(text).model_copy(update={"body": "a\nb"}))
    assert changed.startswith("\ufeff") == text.startswith("\ufeff")
    if form == "crlf":
        assert "\n" not in changed.replace("\r\n", "")
    assert parse_skill(changed).body == "a\nb"


def test_unknown_keys_comments_and_order_survive_a_change():
    text = "---\n# top\nname: a\nx-own: [1, 2]  # why\ndescription: b\nmetadata:\n  k: v\n---\nB\n"
    out = render(parse_skill(text).model_copy(update={"description": "When c: d"}))
    assert "# top" in out
    assert "x-own: [1, 2]  # why" in out
    assert out.index("x-own") < out.index("description")
    assert parse_skill(out).metadata == {"k": "v"}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("no head", "SKILL.md"),
        ("---\nname: a\n", "SKILL.md"),
        ("---\nname: a\n---\n", "SKILL.md: description"),
        ("---\ndescription: a\n---\n", "SKILL.md: name"),
        ("---\nname: [a]\ndescription: b\n---\n", "SKILL.md: name"),
        ("---\n- a\n---\n", "SKILL.md: frontmatter"),
        ("---\na: b: c\n---\n", "SKILL.md: frontmatter"),
        ("---\nname: a\nname: b\ndescription: c\n---\n", "SKILL.md: frontmatter"),
        ("---\nname: a\ndescription: c\nmetadata: text\n---\n", "SKILL.md: metadata"),
        (b"---\nname: \xff\n---\n", "SKILL.md"),
    ],
)
def test_a_broken_skill_names_the_file_and_the_field(text, field):
    with pytest.raises(SkillError) as error:
        parse_skill(text)
    assert error.value.where == field


def test_versions_rise_only_with_content():
    old = Skill(name="a", description="b", version="1.9", body="x")
    assert raise_version(old, old) == old
    assert raise_version(old, old.model_copy(update={"version": "7"})).version == "1.9"
    new = old.model_copy(update={"body": "y"})
    assert raise_version(old, new).version == "1.10"
    assert raise_version(old, new.model_copy(update={"version": "2.0"})).version == "2.0"
    assert raise_version(old, new.model_copy(update={"version": "1.1"})).version == "1.10"
    assert raise_version(old, old, files_changed=True).version == "1.10"
    assert [next_version(v) for v in ("3", "1.0.9", "beta")] == ["4", "1.0.10", "2"]


def test_digest_ignores_spelling_but_not_content():
    lf, crlf = parse_skill(VARIANTS["lf"]), parse_skill(VARIANTS["crlf"])
    assert lf.digest == crlf.digest
    assert lf.digest != lf.model_copy(update={"version": "4"}).digest


@pytest.mark.parametrize("folder", sorted(SEEDS.iterdir()), ids=lambda folder: folder.name)
def test_starter_skills_are_valid(folder):
    assert validator.validate(folder) == []
    assert check(read_skill(folder / "SKILL.md"), folder=folder.name) == ()


NAMES = st.sampled_from(
    ["a", "a-b", "A", "-a", "a-", "a--b", "a_b", "é", "x" * 64, "x" * 65, "1", "true", "ﬁ", "a b"]
)
LINES = st.lists(
    st.sampled_from(
        [
            "description: When x",
            "description: " + "y" * 1025,
            "description: ''",
            "description:",
            "compatibility: linux",
            "compatibility: " + "z" * 501,
            "license: MIT",
            "category: c",
            "version: 3",
            "metadata:\n  version: 3\n  nested: true",
            "metadata: {a: b}",
            "allowed-tools: Bash(git:*) Read",
            "other: x",
            "description: &a text",
            "description: !!str text",
            "a: b: c",
        ]
    ),
    max_size=5,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(name=NAMES, lines=LINES, folder=NAMES | st.none())
def test_verdict_equals_the_reference_validators(tmp_path_factory, name, lines, folder):
    text = "---\n" + "\n".join([f"name: {name}", *lines]) + "\n---\n\nbody\n"
    place = tmp_path_factory.mktemp("skill") / (folder or name)
    place.mkdir()
    (place / "SKILL.md").write_text(text, encoding="utf-8")
    ours = validate_text(text, folder=place.name)
    reference = validator.validate(place)
    assert bool(ours) == bool(reference), (text, ours, reference)


CLEAN = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="\ufeff"), min_size=1
).filter(lambda text: text.strip())


@pytest.mark.slow
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(description=CLEAN, value=CLEAN, body=st.text(CLEAN, max_size=0) | CLEAN)
def test_a_fresh_skill_reads_back_as_it_was(description, value, body):
    given_body = "\n".join(body.splitlines()).strip("\n")
    skill = Skill(
        name="a-b",
        description=" ".join(description.split()),
        category="c",
        body=given_body,
        metadata={"own": " ".join(value.split())},
    )
    back = parse_skill(render(skill))
    assert back.model_copy(update={"source": ""}).description == skill.description
    assert back.metadata == skill.metadata
    assert back.body.strip() == re.sub(r"^\s*\n", "", skill.body).strip()
    assert unicodedata.is_normalized("NFC", back.name)
