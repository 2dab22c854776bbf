"""Rewriting a skill that has grown too long (the model call is the caller's)."""

from grindstone.prompts import template
from grindstone.skills.format import Skill, raise_version, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.prompting import Prompt, answered_skill

MAX_LINES = 200
MAX_BYTES = 6_000


def needs_distillation(skill: Skill) -> bool:
    """Whether a skill has more than 200 lines or 6,000 bytes."""
    lines, size = _extent(skill)
    return lines > MAX_LINES or size > MAX_BYTES


def distillation_prompt(skill: Skill) -> Prompt:
    """Return what to ask the model for a shorter version."""
    lines, size = _extent(skill)
    return Prompt(
        template("skills", "distill").substitute(max_lines=MAX_LINES, max_bytes=MAX_BYTES),
        template("skills", "distill_user").substitute(
            name=skill.name, lines=lines, bytes=size, skill=render(skill)
        ),
    )


def apply_distillation(skill: Skill, answer: str) -> Skill:
    """Return the shorter skill the model answered with, its version raised.

    What the answer has no say in (license, compatibility, tools, metadata) stays.

    Raises:
        SkillError: The answer is no valid skill, has another name, has no body, or is not
            shorter.
    """
    where = f"distilled {skill.name}"
    found = answered_skill(answer, where=where)
    if found.name != skill.name:
        raise SkillError(f"{where}: name", f"is {found.name!r}", f"{skill.name!r}")
    if not found.body.strip():
        raise SkillError(f"{where}: body", "is empty", "the shortened skill")
    shorter = skill.model_copy(update={"description": found.description, "body": found.body})
    before, after = _extent(skill), _extent(shorter)
    if after[1] >= before[1] or after[0] > before[0]:
        raise SkillError(
            where,
            f"has {after[0]} lines and {after[1]} bytes",
            f"less than {before[0]} lines and {before[1]} bytes",
        )
    return raise_version(skill, shorter)


def _extent(skill: Skill) -> tuple[int, int]:
    text = render(skill)
    return len(text.splitlines()), len(text.encode())
