"""Candidate skills and the tasks that support them.

skills/_drafts/<key>.md      the draft, a SKILL.md whose name is the key
skills/_drafts/<key>.json    {"supporters": [task ids, in the order they came],
                              "marks": {task id: [what it and its copies are known by]}}

The two files come and go together. A draft becomes skills/<key>/SKILL.md when enough
different tasks support it; copies of a task, also in other words, are one. Drafts are never
offered to a solver.
Nothing here commits: the workspace's writer does.
"""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from grindstone.base import Frozen
from grindstone.files import write_atomic
from grindstone.joined import joined
from grindstone.skills.format import Skill, raise_version, read_skill, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.library import DRAFTS, SKILL_FILE
from grindstone.skills.rules import validate
from grindstone.text import fingerprint_of
from grindstone.untrusted import read_json


class Draft(Frozen):
    """A candidate skill."""

    skill: Skill
    supporters: tuple[str, ...] = ()
    """The different tasks whose attempts taught it."""
    marks: dict[str, tuple[str, ...]] = {}
    """What they and copies of them are known by, as far as that is known."""

    @property
    def support(self) -> int:
        """How many tasks support it, copies of one counted once."""
        return len(joined({task_id: self.marks.get(task_id, ()) for task_id in self.supporters}))

    @property
    def key(self) -> str:
        """The support key: the skill's name."""
        return self.skill.name


class DraftChange(Frozen):
    """What `support` did."""

    key: str
    created: bool = False
    new_supporter: bool = False
    rewritten: bool = False
    supporters: tuple[str, ...] = ()
    known: bool = False
    """The library has a skill of that name already, so no draft was kept."""

    @property
    def kept(self) -> bool:
        """Whether the draft or its supporters differ from before."""
        return self.created or self.rewritten or self.new_supporter


def drafts_dir(root: Path) -> Path:
    """Return where a workspace keeps its drafts."""
    return root / "skills" / DRAFTS


def read_drafts(root: Path) -> tuple[Draft, ...]:
    """Return a workspace's readable drafts, in the order of their keys."""
    found: list[Draft] = []
    for path in sorted(drafts_dir(root).glob("*.md")):
        try:
            skill = read_skill(path, f"skills/{DRAFTS}/{path.name}")
        except SkillError:
            continue
        if skill.name == path.stem:
            supporters, marks = _support(path.with_suffix(".json"))
            found.append(Draft(skill=skill, supporters=supporters, marks=marks))
    return tuple(found)


def support(
    root: Path, skill: Skill, task_id: str, instruction: str = "", twins: Sequence[str] = ()
) -> DraftChange:
    """Keep a draft, or add a task to the supporters of the one there is.

    The latest text stands. The same task again is no new support; by its instruction, or by its
    twins' digests, a copy of it is known as one.

    Raises:
        SkillError: The open format forbids the skill.
    """
    for problem in validate(skill, folder=skill.name):
        if not problem.spelling:
            raise SkillError(f"draft {skill.name}: {problem.field}", problem.message, "a skill")
    if (root / "skills" / skill.name).exists():
        return DraftChange(key=skill.name, known=True)
    before = {draft.key: draft for draft in read_drafts(root)}.get(skill.name)
    supporters = before.supporters if before is not None else ()
    new = task_id not in supporters
    if new:
        supporters = (*supporters, task_id)
    kept = skill if before is None else raise_version(before.skill, skill)
    if before is not None and before.skill.says_the_same(skill):
        kept = before.skill
    path = drafts_dir(root) / f"{skill.name}.md"
    write_atomic(path, render(kept))
    marks = before.marks if before is not None else {}
    words = (fingerprint_of(instruction),) if instruction.strip() else ()
    if words or twins:
        marks = {**marks, task_id: (*words, *twins)}
    kept_beside = {"supporters": list(supporters), **({"marks": marks} if marks else {})}
    text = json.dumps(kept_beside, indent=2, ensure_ascii=False)
    write_atomic(path.with_suffix(".json"), f"{text}\n")
    return DraftChange(
        key=skill.name,
        created=before is None,
        new_supporter=new,
        rewritten=before is not None and kept is not before.skill,
        supporters=supporters,
    )


def promotable(root: Path, threshold: int) -> tuple[Draft, ...]:
    """Return the drafts that at least `threshold` different tasks support."""
    return tuple(
        draft
        for draft in read_drafts(root)
        if draft.support >= threshold and not (root / "skills" / draft.key).exists()
    )


def promote(root: Path, draft: Draft) -> Path:
    """Make a draft a general skill, remove its two files and return the new SKILL.md's path.

    Raises:
        SkillError: The library has a skill of that name already.
    """
    path = root / "skills" / draft.key / SKILL_FILE
    if path.parent.exists():
        raise SkillError(f"skills/{draft.key}", "exists already", "a name no skill has")
    write_atomic(path, promoted_text(draft))
    drop(root, draft.key)
    return path


def promoted_text(draft: Draft) -> str:
    """Return the SKILL.md that a draft becomes, its version spelled out."""
    return render(draft.skill, with_version=True)


def drop(root: Path, key: str) -> None:
    """Remove a draft and its supporters, and their folder with the last of them."""
    for suffix in (".md", ".json"):
        (drafts_dir(root) / f"{key}{suffix}").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty, or not there
        drafts_dir(root).rmdir()


def _support(path: Path) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    try:
        found = read_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    kept = found if isinstance(found, dict) else {}
    listed, marks = kept.get("supporters"), kept.get("marks")
    supporters = dict.fromkeys(map(str, listed)) if isinstance(listed, list) else {}
    known = marks.items() if isinstance(marks, dict) else ()
    return tuple(supporters), {
        task: tuple(map(str, own)) for task, own in known if isinstance(own, list)
    }
