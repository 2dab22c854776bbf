"""The skills of a workspace: general ones, and those that belong to a single task.

skills/<name>/SKILL.md              offered to every task
task_skills/<folder>/SKILL.md       offered to the one task it is for

A task's folder is its id where that is a valid skill name (at most 64 of a-z, 0-9 and
single hyphens inside). Any other id gives its lower-cased letters and digits, cut to 50
and joined by hyphens, followed by a hyphen and the first 12 hex digits of the id's
digest; so two ids never share a folder. The skill's `metadata.task` holds the id as it is.
"""

import re
from pathlib import Path
from typing import NamedTuple

from grindstone.base import Frozen
from grindstone.digest import SHORT, digest, digest_tree
from grindstone.skills.format import Skill, read_skill
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.rules import MAX_NAME, validate

SKILL_FILE = "SKILL.md"
DRAFTS = "_drafts"
TASK_KEY = "task"
MAX_TASK_SKILL_LINES = 100


class BrokenSkill(NamedTuple):
    """A folder that holds no usable skill."""

    folder: str
    problem: str


class Listing(Frozen):
    """What a library holds, in the order of names."""

    skills: tuple[Skill, ...]
    broken: tuple[BrokenSkill, ...] = ()


class SkillLibrary:
    """Reads the skills below a workspace folder; writes nothing and keeps nothing."""

    def __init__(self, root: Path) -> None:
        """Take the workspace folder; `skills/` and `task_skills/` may be absent."""
        self.root = root
        self.skills_dir = root / "skills"
        self.task_skills_dir = root / "task_skills"

    def load(self) -> Listing:
        """Return all general skills, and the folders that hold none."""
        skills: list[Skill] = []
        broken: list[BrokenSkill] = []
        for folder in self._folders():
            try:
                skills.append(load_folder(folder))
            except SkillError as error:
                broken.append(BrokenSkill(folder.name, str(error)))
        return Listing(skills=tuple(skills), broken=tuple(broken))

    def skills(self) -> tuple[Skill, ...]:
        """Return the usable general skills, in the order of their names."""
        return self.load().skills

    def names(self) -> tuple[str, ...]:
        """Return the usable general skills' names, in order."""
        return tuple(skill.name for skill in self.skills())

    def get(self, name: str) -> Skill:
        """Return a general skill.

        Raises:
            SkillError: There is none of that name, or it is broken.
        """
        return load_folder(self.folder(name))

    def folder(self, name: str) -> Path:
        """Return a general skill's folder, with its scripts/ and references/.

        Raises:
            SkillError: There is none of that name.
        """
        folder = self.skills_dir / name
        known = sorted(found.name for found in self._folders())
        if name not in known:
            there = ", ".join(known) or "none yet"
            raise SkillError(f"skills/{name}", "does not exist", f"the name of a skill ({there})")
        return folder

    def digest(self, name: str) -> str:
        """Return the digest of a general skill's whole folder."""
        return digest_tree(self.folder(name))

    def library_digest(self) -> str:
        """Return one digest over every general skill's folder, broken ones included."""
        return digest({folder.name: digest_tree(folder) for folder in self._folders()})

    def task_folder(self, task_id: str) -> Path:
        """Return where the task's own skill lies, or would lie."""
        return self.task_skills_dir / task_folder_name(task_id)

    def task_skill(self, task_id: str) -> Skill | None:
        """Return the task's own skill, None where it has none.

        Raises:
            SkillError: It is broken, or was written for another task.
        """
        folder = self.task_folder(task_id)
        if not folder.is_dir():
            return None
        skill = load_folder(folder)
        owner = skill.metadata.get(TASK_KEY, task_id)
        if owner != task_id:
            raise SkillError(f"{folder}: metadata.{TASK_KEY}", f"names {owner!r}", f"{task_id!r}")
        return skill

    def injected(self, names: tuple[str, ...], task_id: str | None = None) -> dict[str, Path]:
        """Return the folders to put into a task's sandbox, by skill name.

        The task's own skill comes with them; where a general one has its name, the task's
        own stands, being the narrower of the two.
        """
        found = {name: self.folder(name) for name in names}
        if task_id is not None and (own := self.task_skill(task_id)) is not None:
            found[own.name] = self.task_folder(task_id)
        return found

    def _folders(self) -> list[Path]:
        if not self.skills_dir.is_dir():
            return []
        return sorted(
            folder
            for folder in self.skills_dir.iterdir()
            if folder.is_dir() and not folder.name.startswith((".", "_"))
        )


def load_folder(folder: Path) -> Skill:
    """Return the skill in a folder.

    Spelling that the open format does not know but that is understood is let through, and so are
    fields that it does not know: most public collections have some, and agents pass over them.

    Raises:
        SkillError: A link, no SKILL.md, or one the format forbids.
    """
    where = f"{folder.parent.name}/{folder.name}/{SKILL_FILE}"
    path = folder / SKILL_FILE
    if folder.is_symlink() or path.is_symlink():
        raise SkillError(where, "is reached through a link", "a folder and a file of their own")
    skill = read_skill(path, where)
    for problem in validate(skill, folder=folder.name):
        if not (problem.spelling or problem.foreign):
            raise SkillError(f"{where}: {problem.field}", problem.message, "a valid skill")
    return skill


def task_folder_name(task_id: str) -> str:
    """Return the folder, and the skill name, of a task's own skill (see the module)."""
    words = re.findall(r"[a-z0-9]+", task_id.lower())
    if "-".join(words) == task_id and len(task_id) <= MAX_NAME:
        return task_id
    stem = "-".join(words)[:50].strip("-") or "task"
    return f"{stem}-{digest(task_id)[:SHORT]}"
