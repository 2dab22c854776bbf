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
    "SkillBenchAgent",
    "SkillCard",
    "SkillUse",
    "Solver",
    "build_system_prompt",
    "inject_skills",
    "skill_uses",
    "solver_for",
]

_HOMES = {
    # Made of whole attempts, and so at home above this room.
    "SkillBenchAgent": "grindstone.attempt.skillbench",
    "Brief": "grindstone.agents.protocol",
    "Effort": "grindstone.agents.protocol",
    "SkillCard": "grindstone.agents.protocol",
    "SkillUse": "grindstone.agents.skill_use",
    "Solver": "grindstone.agents.protocol",
    "build_system_prompt": "grindstone.agents.system_prompt",
    "inject_skills": "grindstone.agents.injection",
    "skill_uses": "grindstone.agents.skill_use",
    "solver_for": "grindstone.agents.profiles",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
