"""General know-how, one Markdown file per field of work; it knows no task.

A file's head says which skill it becomes, of what category, and which words in an
observation call for it; its body is the skill's body. `notes` are remarks that a later
refinement adds, one at a time.
"""

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from grindstone.rehearsal.words import stem, stems

_LEAST_MATCH = 3
_CATEGORY_WEIGHT = 3


class FieldKnowledge(NamedTuple):
    """What is known of one field."""

    skill: str
    category: str
    description: str
    triggers: frozenset[str]
    body: str
    notes: tuple[str, ...]

    def match(self, text: str, category: str = "") -> int:
        """Return how strongly a text calls for this: trigger words, its category counting 3."""
        return _CATEGORY_WEIGHT * (category == self.category) + len(self.triggers & stems(text))

    def skill_md(self, version: int, notes: tuple[str, ...] = ()) -> str:
        """Return the SKILL.md."""
        extra = "\n".join(f"- {note}" for note in notes)
        body = f"{self.body.rstrip()}\n\n## Notes\n{extra}" if notes else self.body.rstrip()
        return (
            f"---\nname: {self.skill}\ndescription: {self.description}\nmetadata:\n"
            f'  category: {self.category}\n  version: "{version}"\n---\n\n{body}\n'
        )


def parse(text: str) -> FieldKnowledge:
    """Return the entry a knowledge file holds."""
    _, head, body = text.split("---\n", 2)
    fields: dict[str, str] = {}
    notes: list[str] = []
    for line in head.splitlines():
        if line.startswith("- "):
            notes.append(line[2:])
        elif found := re.match(r"(\w+):\s*(.*)", line):
            fields[found[1]] = found[2]
    triggers = frozenset(stem(word) for word in re.findall(r"[a-z0-9]+", fields["triggers"]))
    return FieldKnowledge(
        fields["skill"],
        fields["category"],
        fields["description"],
        triggers,
        body.strip(),
        tuple(notes),
    )


@cache
def entries() -> tuple[FieldKnowledge, ...]:
    """Return all that is known, by file name."""
    files = sorted(resources.files(__name__).iterdir(), key=lambda item: item.name)
    return tuple(
        parse(item.read_text(encoding="utf-8")) for item in files if item.name.endswith(".md")
    )


def matching(text: str, category: str = "") -> tuple[FieldKnowledge, ...]:
    """Return the entries a text calls for, the strongest match first."""
    scored = [(entry.match(text, category), entry) for entry in entries()]
    fitting = [pair for pair in scored if pair[0] >= _LEAST_MATCH]
    return tuple(e for _, e in sorted(fitting, key=lambda pair: (-pair[0], pair[1].skill)))
