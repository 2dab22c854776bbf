"""The same tasks with and without the skills that came with them.

Some collections copy skills into the task's image. An arm that is to run without skills
must not have them; the variant made here differs in its environment's digest, and so in
its image's tag, from the one that has them.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from grindstone.benchmark.loading import load_task
from grindstone.benchmark.task import Task
from grindstone.digest import SHORT
from grindstone.dockerfile import Copy, Instruction, instructions, parse_copy
from grindstone.errors import InputError

_AGENT_SKILLS = re.compile(r"(?:^|/)\.[a-z][a-z0-9_-]*/skills?(?:/|$)")
"""/root/.claude/skills, ~/.config's neighbours .agents, .codex, .opencode/skill and so on."""

_FETCHES = re.compile(r"\b(?:cp|mv|git|curl|wget|tar|unzip|rsync|install|ln)\b")


class BakedSkills(NamedTuple):
    """One place where a task's image gets skills of its own."""

    place: str  # "environment/Dockerfile:12", or a folder of the build context
    text: str  # the instruction, or the skills' names
    removable: bool


def find_baked_skills(task: Task) -> tuple[BakedSkills, ...]:
    """Return where the task's own image gets skills; empty when it gets none."""
    found: list[BakedSkills] = []
    for instruction in _instructions(task):
        place = f"environment/Dockerfile:{instruction.first_line + 1}"
        text = f"{instruction.keyword} {instruction.value}"
        copy = parse_copy(instruction)
        if copy is not None and _kept_sources(copy, task.environment_dir) != copy.sources:
            found.append(BakedSkills(place, text, removable=True))
        elif (
            instruction.keyword == "RUN"
            and any(_AGENT_SKILLS.search(word) for word in re.split(r"[\s;'\"]+", text))
            and _FETCHES.search(text)
        ):
            found.append(BakedSkills(place, text, removable=False))
    for folder in _skill_folders(task.environment_dir):
        names = ", ".join(sorted(file.parent.name for file in folder.glob("*/SKILL.md")))
        relative = folder.relative_to(task.path).as_posix()
        found.append(BakedSkills(relative, names, removable=True))
    return tuple(found)


def strip_skills(task: Task, into: Path) -> Task:
    """Return the task without skills of its own: itself, or a copy below `into`.

    The copy is at `into/<digest>/<task_id>` and made once; COPY lines that bring skills and
    the skill folders of the build context are gone from it.

    Raises:
        InputError: A RUN line brings the skills, which no rule can undo safely.
    """
    baked = find_baked_skills(task)
    if not baked:
        return task
    for place in baked:
        if not place.removable:
            raise InputError(
                f"{task.task_id}/{place.place}",
                f"brings skills with a command: {place.text[:120]}",
                "skills that come by COPY, or a folder of tasks without skills",
            )
    return changed_copy(task, into / task.digest[:SHORT], lambda copy: _strip(copy / "environment"))


def changed_copy(task: Task, into: Path, change: Callable[[Path], None]) -> Task:
    """Return the task as it is after a change of its files: a copy at `into/<task_id>`, made once.

    Args:
        task: What is copied.
        into: A folder of this task's and this change's own.
        change: Changes the copy, whose folder it is given.
    """
    target = into / task.task_id
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=target.parent) as folder:
            partial = Path(folder) / task.task_id
            shutil.copytree(task.path, partial, symlinks=True)
            change(partial)
            try:
                partial.rename(target)
            except OSError:  # another process was first; its copy is the same
                if not target.is_dir():
                    raise
    return load_task(target)


def _instructions(task: Task) -> tuple[Instruction, ...]:
    file = task.environment_dir / "Dockerfile"
    return instructions(file.read_text(errors="replace")) if file.is_file() else ()


def _skill_folders(environment: Path) -> list[Path]:
    if not environment.is_dir():
        return []
    return sorted({file.parent.parent for file in environment.rglob("*/SKILL.md")} - {environment})


def _kept_sources(copy: Copy, environment: Path) -> tuple[str, ...]:
    """Return the sources that are not skills."""
    if copy.from_stage:
        return copy.sources
    if _AGENT_SKILLS.search(copy.target):
        return ()
    folders = _skill_folders(environment)
    return tuple(
        source
        for source in copy.sources
        if not any((environment / source.lstrip("/")).is_relative_to(folder) for folder in folders)
    )


def _strip(environment: Path) -> None:
    file = environment / "Dockerfile"
    lines = file.read_text().splitlines(keepends=True)
    for instruction in instructions("".join(lines)):
        copy = parse_copy(instruction)
        if copy is None:
            continue
        kept = _kept_sources(copy, environment)
        if kept == copy.sources:
            continue
        rewritten = (
            " ".join([instruction.keyword, *copy.flags, json.dumps([*kept, copy.target])]) + "\n"
            if kept
            else ""
        )
        for index in range(instruction.first_line, instruction.last_line + 1):
            lines[index] = rewritten if index == instruction.first_line else ""
    file.write_text("".join(lines))
    for folder in _skill_folders(environment):
        shutil.rmtree(folder)
