"""Several fields of work in one skill: an index that points to one reference file for each."""

import re
from typing import NamedTuple

from grindstone.rehearsal.knowledge import FieldKnowledge

_HEAD = re.compile(r"---\n.*?^description: ([^\n]+)\n.*?^---\n", re.DOTALL | re.MULTILINE)
_POINTER = re.compile(r"^- (.+?): follow `(references/[a-z0-9-]+\.md)`", re.MULTILINE)
_VERSION = re.compile(r"(version:\s*[\"']?)(\d+)")
_MOST_DESCRIPTION = 1024  # the open format's limit
_INDEX = """
Read the one reference that fits the work at hand, and follow it.

## Steps
{pointers}

## Verification
- Each reference ends with how to verify its result; do so.
"""


class SplitSkill(NamedTuple):
    """A skill rewritten as an index, and the files that belong beside it."""

    skill_md: str
    beside: dict[str, str]  # by path relative to the skill's folder


def folded(name: str, skill: str, entry: FieldKnowledge) -> SplitSkill | None:
    """Return the skill with the know-how folded in; None where it cannot or already does.

    Args:
        name: The skill's.
        skill: Its SKILL.md as a shell printed it.
        entry: What is to be folded in.
    """
    text = re.sub(r"\n\[exit[^\n]*\]\s*\Z", "\n", skill)
    head = _HEAD.match(text)
    file = _file(entry.skill)
    if head is None or file in text:
        return None
    also = entry.description[0].lower() + entry.description[1:]
    description = f"{head[1].rstrip('.')}. Also {also}"
    if len(description) > _MOST_DESCRIPTION:
        return None
    known = pointers(text)
    beside = {file: f"{entry.body}\n"}
    if not known:
        known = ((name.replace("-", " "), _file(name)),)
        beside[_file(name)] = f"{text[head.end() :].strip()}\n"
    known = (*known, (entry.skill.replace("-", " "), file))
    lines = "\n".join(f"- {about}: follow `{path}`" for about, path in known)
    top = head[0].replace(head[1], description, 1)
    top = _VERSION.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", top, count=1)
    return SplitSkill(top + _INDEX.format(pointers=lines), beside)


def _file(name: str) -> str:
    return f"references/{name}.md"


def pointers(skill: str) -> tuple[tuple[str, str], ...]:
    """Return (what for, file) of each reference a skill points to."""
    return tuple((found[1], found[2]) for found in _POINTER.finditer(skill))
