"""Skills: the open SKILL.md format, the library, selection, drafts, distillation, guards."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grindstone.skills.format import Skill, parse_skill, raise_version, read_skill, render
    from grindstone.skills.frontmatter import SkillError
    from grindstone.skills.library import BrokenSkill, Listing, SkillLibrary
    from grindstone.skills.rules import Problem, validate

_HOMES = {
    "Skill": "format",
    "parse_skill": "format",
    "raise_version": "format",
    "read_skill": "format",
    "render": "format",
    "SkillError": "frontmatter",
    "BrokenSkill": "library",
    "Listing": "library",
    "SkillLibrary": "library",
    "Problem": "rules",
    "validate": "rules",
}

__all__ = [
    "BrokenSkill",
    "Listing",
    "Problem",
    "Skill",
    "SkillError",
    "SkillLibrary",
    "parse_skill",
    "raise_version",
    "read_skill",
    "render",
    "validate",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"grindstone.skills.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grindstone.skills' has no attribute {name!r}")
