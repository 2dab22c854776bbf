"""Solver profiles: how an agent talks to its sandbox, and the conversation it keeps."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.agents.injection import inject_skills
    from grindstone.agents.profiles import solver_for
    from grindstone.agents.protocol import Brief, Effort, SkillCard, Solver
    from grindstone.agents.skill_use import SkillUse, skill_uses
    from grindstone.agents.system_prompt import build_system_prompt

__all__ = [
    "Brief",
    "Effort",
    "SkillCard",
    "SkillUse",
    "Solver",
    "build_system_prompt",
    "inject_skills",
    "skill_uses",
    "solver_for",
]

_HOMES = {
    "Brief": "protocol",
    "Effort": "protocol",
    "SkillCard": "protocol",
    "SkillUse": "skill_use",
    "Solver": "protocol",
    "build_system_prompt": "system_prompt",
    "inject_skills": "injection",
    "skill_uses": "skill_use",
    "solver_for": "profiles",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
