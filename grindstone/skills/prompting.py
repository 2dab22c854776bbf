"""What a model is asked for a skill, and skills from its answer."""

import re
from typing import NamedTuple

from grindstone.skills.format import Skill, parse_skill
from grindstone.skills.frontmatter import FENCE, SkillError
from grindstone.skills.rules import validate

_WRAPPED = re.compile(r"\A\s*(`{3,}|~{3,})[\w-]*[ \t]*\n(.*?)\n\1[ \t]*\s*\Z", re.DOTALL)


class Prompt(NamedTuple):
    """What a model is asked; the caller makes the call."""

    system: str  # its first line names the role
    user: str


def answered_skill(answer: str, *, where: str) -> Skill:
    """Return the valid skill a model answered with.

    A code fence around the whole answer and words before the head are let pass.

    Raises:
        SkillError: There is none, or the open format forbids it.
    """
    text = answer
    if (wrapped := _WRAPPED.match(text)) is not None:
        text = wrapped.group(2)
    lines = text.strip().split("\n")
    start = next((at for at, line in enumerate(lines) if line.rstrip() == FENCE), 0)
    skill = parse_skill("\n".join(lines[start:]) + "\n", where=where)
    for problem in validate(skill):
        if not problem.spelling:
            raise SkillError(f"{where}: {problem.field}", problem.message, "a valid skill")
    return skill
