import json

import pytest

from grindstone.records import Role
from grindstone.skills import Skill, SkillError, SkillLibrary, render
from grindstone.skills.distill import apply_distillation, distillation_prompt, needs_distillation
from grindstone.skills.drafts import drafts_dir, promotable, promote, read_drafts, support
from grindstone.skills.success import apply_success, success_prompt
from grindstone.skills.task_skill import apply_task_skill, task_skill_prompt

LONG = Skill(
    name="long-one",
    description="When long.",
    category="c",
    version="4",
    license="MIT",
    body="## Overview\n\n" + "\n".join(f"- $line {n}" for n in range(250)),
)
ANSWER = """Here it is:

---
name: long-one
description: When long, shorter.
---

## Overview

Short.
"""


def test_only_long_skills_need_distillation():
    assert needs_distillation(LONG)
    assert needs_distillation(LONG.model_copy(update={"body": "é" * 3000}))
    assert not needs_distillation(LONG.model_copy(update={"body": "short"}))


def test_prompts_begin_with_the_role_and_hold_what_is_asked():
    system, user = distillation_prompt(LONG)
    assert system.splitlines()[0] == f"Role: {Role.DISTILLATION.value}"
    assert render(LONG) in user
    system, user = task_skill_prompt("My_Task", "Do $HOME", category="c", observation="failed")
    assert system.splitlines()[0] == f"Role: {Role.TASK_SKILL.value}"
    assert "Do $HOME" in user
    assert "failed" in user
    system, user = success_prompt("ask", "ls -la\n---\nok", category="c", skills=[LONG])
    assert system.splitlines()[0] == f"Role: {Role.DISTILLATION.value}"
    assert "> ls -la" in user
    with pytest.raises(SkillError):
        success_prompt("ask", "  ", category="c")


@pytest.mark.parametrize("wrap", ["{}", "```markdown\n{}\n```", "````\n{}\n````\n"])
def test_a_shorter_answer_is_taken_with_its_version_raised(wrap):
    new = apply_distillation(LONG, wrap.format(ANSWER.split("\n\n", 1)[1]))
    assert (new.version, new.category, new.license) == ("5", "c", "MIT")
    assert new.body == "## Overview\n\nShort."
    assert apply_distillation(LONG, ANSWER).body == new.body


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no skill",
        ANSWER.replace("long-one", "other"),
        ANSWER.replace("## Overview\n\nShort.\n", ""),
        ANSWER + "x" * 10_000,
        ANSWER.replace("When long", "d" * 1100),
    ],
)
def test_a_useless_answer_is_refused(answer):
    with pytest.raises(SkillError):
        apply_distillation(LONG, answer)


def test_task_skills_are_refused_over_100_lines_never_cut():
    body = "\n".join(f"- {n}" for n in range(90))
    first = apply_task_skill("T 1", f"---\nname: x\ndescription: When x.\n---\n\n{body}\n")
    assert first.metadata["task"] == "T 1"
    assert len(render(first).splitlines()) <= 100
    second = apply_task_skill("T 1", "## Approach\n\n1. New", existing=first)
    assert second.version == "2"
    with pytest.raises(SkillError, match="lines; expected at most 100"):
        apply_task_skill("T 1", "\n".join(f"- {n}" for n in range(100)))
    with pytest.raises(SkillError):
        apply_task_skill("T 1", "  ")


def test_nothing_to_carry_over_is_no_error():
    assert apply_success("NOTHING") is None
    assert apply_success("Nothing general can be learnt from this.") is None
    skill = apply_success(ANSWER, category="logs")
    assert skill is not None
    assert skill.category == "logs"
    with pytest.raises(SkillError):
        apply_success("some words")


def test_a_draft_and_its_supporters_stay_together_until_promotion(tmp_path):
    draft = Skill(name="log-work", description="When logs.", body="## Overview\n\nA.")
    assert support(tmp_path, draft, "t1").created
    assert not support(tmp_path, draft, "t1").new_supporter
    assert promotable(tmp_path, 2) == ()
    change = support(tmp_path, draft.model_copy(update={"body": "## Overview\n\nB."}), "t2")
    assert (change.supporters, change.rewritten) == (("t1", "t2"), True)
    (ready,) = promotable(tmp_path, 2)
    assert ready.skill.version == "2"
    assert SkillLibrary(tmp_path).skills() == ()
    promote(tmp_path, ready)
    assert SkillLibrary(tmp_path).get("log-work").body == "## Overview\n\nB."
    assert not drafts_dir(tmp_path).exists()
    assert support(tmp_path, draft, "t3").known
    with pytest.raises(SkillError):
        promote(tmp_path, ready)


def test_copies_of_a_task_support_a_draft_once(tmp_path):
    draft = Skill(name="log-work", description="When logs.", body="A")
    support(tmp_path, draft, "t1", "Count the errors.")
    assert support(tmp_path, draft, "copy", "count  the ERRORS").supporters == ("t1", "copy")
    support(tmp_path, draft, "t2", "Count the warnings.", ["tests and files"])
    assert promotable(tmp_path, 3) == ()
    support(tmp_path, draft, "other-words", "How many warnings?", ["tests and files"])
    assert promotable(tmp_path, 3) == ()
    assert [len(each.supporters) for each in promotable(tmp_path, 2)] == [4]


def test_torn_supporters_count_as_none_and_an_invalid_draft_is_refused(tmp_path):
    draft = Skill(name="log-work", description="When logs.", body="A")
    support(tmp_path, draft, "t1")
    (drafts_dir(tmp_path) / "log-work.json").write_text('{"supporters": ["t1"')
    assert read_drafts(tmp_path)[0].supporters == ()
    support(tmp_path, draft, "t2")
    kept = json.loads((drafts_dir(tmp_path) / "log-work.json").read_text())
    assert kept == {"supporters": ["t2"]}
    with pytest.raises(SkillError):
        support(tmp_path, draft.model_copy(update={"name": "../x"}), "t1")
