"""Skills: the open SKILL.md format, the library, selection, drafts, distillation, guards."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grindstone.skills.drafts import Draft, DraftChange
    from grindstone.skills.format import Skill, parse_skill, raise_version, read_skill, render
    from grindstone.skills.frontmatter import SkillError
    from grindstone.skills.leaks import Leak, find_leaks
    from grindstone.skills.library import BrokenSkill, Listing, SkillLibrary
    from grindstone.skills.prompting import Prompt
    from grindstone.skills.quality import Violation, check_quality
    from grindstone.skills.rules import Problem, validate
    from grindstone.skills.selection import Selected, build_index, select_skills

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
    "Selected": "selection",
    "select_skills": "selection",
    "build_index": "selection",
    "Draft": "drafts",
    "DraftChange": "drafts",
    "Violation": "quality",
    "check_quality": "quality",
    "Leak": "leaks",
    "find_leaks": "leaks",
    "Prompt": "prompting",
}

__all__ = [
    "BrokenSkill",
    "Draft",
    "DraftChange",
    "Leak",
    "Listing",
    "Problem",
    "Prompt",
    "Selected",
    "Skill",
    "SkillError",
    "SkillLibrary",
    "Violation",
    "build_index",
    "check_quality",
    "find_leaks",
    "parse_skill",
    "raise_version",
    "read_skill",
    "render",
    "select_skills",
    "validate",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"grindstone.skills.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grindstone.skills' has no attribute {name!r}")
