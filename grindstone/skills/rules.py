"""What the open Agent Skills format asks of a skill, beyond being readable.

The rules and limits are those of the format's reference validator; a test holds the two
verdicts side by side.
"""

import unicodedata
from typing import NamedTuple

from pydantic import JsonValue

from grindstone.skills import frontmatter
from grindstone.skills.format import KNOWN, OWN_FIELDS, Skill, render
from grindstone.skills.frontmatter import SkillError

MAX_NAME = 64
MAX_DESCRIPTION = 1024
MAX_COMPATIBILITY = 500


class Problem(NamedTuple):
    """One thing the open format forbids."""

    field: str
    message: str
    spelling: bool = False  # only how it is written: the skill is usable, and `render` mends it
    foreign: bool = False  # a field of another program's: the skill is usable, and it stays

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def validate(skill: Skill, *, folder: str | None = None) -> tuple[Problem, ...]:
    """Return what the open format forbids in a skill; empty when it is valid.

    Args:
        skill: The skill.
        folder: The name of the folder it lies in, which must be its name.
    """
    return validate_text(render(skill), folder=folder)


def validate_text(
    text: str, *, folder: str | None = None, where: str = "SKILL.md"
) -> tuple[Problem, ...]:
    """Return what the open format forbids in a SKILL.md's text; empty when it is valid."""
    try:
        parts = frontmatter.split(text, where)
        fields = frontmatter.load(parts.yaml, where)
    except SkillError as error:
        return (Problem("frontmatter", str(error)),)
    found: list[Problem] = []
    if text.startswith(frontmatter.BOM):
        found.append(Problem("file", "begins with a byte order mark", spelling=True))
    if frontmatter.FENCE in parts.yaml:
        found.append(Problem("frontmatter", "holds ---, where other readers would cut it"))
    found.extend(
        Problem("frontmatter", f"uses {what}", spelling=True)
        for what in frontmatter.unusual_yaml(parts.yaml)
    )
    found.extend(
        Problem(
            key,
            "is no field of the open format; put it under metadata",
            spelling=key in OWN_FIELDS,
            foreign=key not in OWN_FIELDS,
        )
        for key in sorted(set(fields) - KNOWN)
    )
    found.extend(_name(fields.get("name"), folder))
    found.extend(_description(fields.get("description")))
    if "compatibility" in fields:
        found.extend(_compatibility(fields["compatibility"]))
    return tuple(found)


def _name(name: JsonValue, folder: str | None) -> list[Problem]:
    if not isinstance(name, str) or not name.strip():
        return [Problem("name", "is missing or empty")]
    name = unicodedata.normalize("NFKC", name.strip())
    found: list[Problem] = []
    if len(name) > MAX_NAME:
        found.append(Problem("name", f"has {len(name)} characters, more than {MAX_NAME}"))
    if name != name.lower():
        found.append(Problem("name", f"{name!r} is not lower case"))
    if name.startswith("-") or name.endswith("-") or "--" in name:
        found.append(Problem("name", f"{name!r} has a hyphen at an end, or two in a row"))
    if not all(character.isalnum() or character == "-" for character in name):
        found.append(Problem("name", f"{name!r} has more than letters, digits and hyphens"))
    if folder is not None and unicodedata.normalize("NFKC", folder) != name:
        found.append(Problem("name", f"{name!r} is not its folder's name, {folder!r}"))
    return found


def _description(description: JsonValue) -> list[Problem]:
    if not isinstance(description, str) or not description.strip():
        return [Problem("description", "is missing or empty")]
    if len(description) > MAX_DESCRIPTION:
        count = len(description)
        return [Problem("description", f"has {count} characters, more than {MAX_DESCRIPTION}")]
    return []


def _compatibility(compatibility: JsonValue) -> list[Problem]:
    if not isinstance(compatibility, str):
        return [Problem("compatibility", "is not a text")]
    if len(compatibility) > MAX_COMPATIBILITY:
        count = len(compatibility)
        return [Problem("compatibility", f"has {count} characters, more than {MAX_COMPATIBILITY}")]
    return []
