"""What a passed attempt teaches, as a draft skill (the model call is the caller's)."""

import re
from collections.abc import Sequence

from grindstone.prompts import template
from grindstone.skills.drafts import Draft
from grindstone.skills.format import Skill
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.prompting import Prompt, answered_skill

NOTHING = "NOTHING"


def success_prompt(
    instruction: str,
    trajectory: str,
    *,
    category: str,
    skills: Sequence[Skill] = (),
    drafts: Sequence[Draft] = (),
) -> Prompt:
    """Return what to ask the model after a task passed.

    Args:
        instruction: What the agent was asked.
        trajectory: What it did: a digest of the trajectory, commands and what they gave.
        category: The task's.
        skills: The library, by name and description.
        drafts: The drafts there are, in full, so that one can be improved.

    Raises:
        SkillError: The trajectory's digest is empty; the task's text alone teaches nothing.
    """
    if not trajectory.strip():
        raise SkillError("trajectory", "is empty", "what the agent did")
    names = "\n".join(f"- {skill.name}: {skill.description}" for skill in skills) or "none"
    texts = "\n\n".join(_shown(draft.skill) for draft in drafts) or "none"
    return Prompt(
        template("skills", "success").substitute(category=category),
        template("skills", "success_user").substitute(
            category=category,
            instruction=instruction.strip(),
            trajectory="\n".join(f"> {line}" for line in trajectory.strip().splitlines()),
            skills=names,
            drafts=texts,
        ),
    )


def apply_success(answer: str, *, category: str = "") -> Skill | None:
    """Return the draft the model answered with, None where there is nothing to carry over.

    An answer without a head that begins with "nothing" counts as such.

    Raises:
        SkillError: The answer is neither a valid skill nor NOTHING.
    """
    if re.match(rf"\W*{NOTHING}\b", answer, re.IGNORECASE) and "\n---" not in answer:
        return None
    skill = answered_skill(answer, where="draft skill")
    if not skill.body.strip():
        raise SkillError("draft skill: body", "is empty", "a skill's sections")
    return skill if skill.category else skill.model_copy(update={"category": category})


def _shown(skill: Skill) -> str:
    return f"### {skill.name}\n\n{skill.description}\n\n{skill.body.strip()}"
