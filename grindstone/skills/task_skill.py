"""A task's own skill: written from its description, changed after a failure.

At most 100 lines; a longer one is refused, never cut. The model call is the caller's.
"""

from pathlib import Path

from grindstone.files import write_atomic
from grindstone.prompts import template
from grindstone.skills.format import Skill, raise_version, render
from grindstone.skills.frontmatter import FENCE, SkillError
from grindstone.skills.library import (
    MAX_TASK_SKILL_LINES,
    SKILL_FILE,
    TASK_KEY,
    SkillLibrary,
    task_folder_name,
)
from grindstone.skills.prompting import Prompt, answered_skill


def task_skill_prompt(
    task_id: str,
    instruction: str,
    *,
    category: str,
    existing: Skill | None = None,
    observation: str = "",
) -> Prompt:
    """Return what to ask the model for a task's own skill.

    Args:
        task_id: The task.
        instruction: Its text.
        category: Its category.
        existing: The skill it has; with it the model is asked to improve that one.
        observation: The sanitised feedback of the last attempt.
    """
    system = template("skills", "task_skill").substitute(
        name=task_folder_name(task_id),
        category=category,
        max_lines=MAX_TASK_SKILL_LINES,
    )
    given = {"task_id": task_id, "category": category, "instruction": instruction.strip()}
    if existing is None and not observation.strip():
        return Prompt(system, template("skills", "task_skill_new").substitute(**given))
    so_far = "none" if existing is None else render(existing).strip()
    update = template("skills", "task_skill_update").substitute(
        **given, skill=so_far, observation=observation.strip()
    )
    return Prompt(system, update)


def apply_task_skill(task_id: str, answer: str, *, existing: Skill | None = None) -> Skill:
    """Return the task's own skill from a model's answer; `write_task_skill` keeps it.

    Its name is the task's folder whatever the answer says, its version above the existing one.
    An answer that is the guide's text alone gets a head.

    Raises:
        SkillError: The answer is no valid skill, is empty, or has more than 100 lines.
    """
    where = f"task skill of {task_id}"
    found = _answered(task_id, answer, where)
    if not found.body.strip():
        raise SkillError(f"{where}: body", "is empty", "a guide for the task")
    skill = found.model_copy(
        update={
            "name": task_folder_name(task_id),
            "metadata": {**found.metadata, TASK_KEY: task_id},
            "version": "1" if existing is None else found.version,
        }
    )
    if existing is not None:
        skill = raise_version(existing, skill)
    check_task_skill(skill, where=where)
    return skill


def _answered(task_id: str, answer: str, where: str) -> Skill:
    if not answer.strip() or any(line.rstrip() == FENCE for line in answer.split("\n")):
        return answered_skill(answer, where=where)
    return Skill(
        name=task_folder_name(task_id),
        description=f"When working on the task {task_id}.",
        body=answer.strip(),
    )


def check_task_skill(skill: Skill, *, where: str = "") -> None:
    """Refuse a task's own skill of more than 100 lines.

    Raises:
        SkillError: It has more.
    """
    lines = len(render(skill).splitlines())
    if lines > MAX_TASK_SKILL_LINES:
        expected = f"at most {MAX_TASK_SKILL_LINES}"
        raise SkillError(where or skill.name, f"has {lines} lines", expected)


def write_task_skill(root: Path, task_id: str, skill: Skill) -> Path:
    """Write a task's own skill into a workspace folder and return the file's path."""
    path = SkillLibrary(root).task_folder(task_id) / SKILL_FILE
    write_atomic(path, render(skill))
    return path
