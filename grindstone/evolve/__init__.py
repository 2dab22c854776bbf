"""Turning observations into skills, in a sandbox, under enforced permissions."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grindstone.evolve.config import EvolveConfig
    from grindstone.evolve.engine import AEvolveEngine, EvolutionEngine
    from grindstone.evolve.permissions import Refusal
    from grindstone.evolve.result import EvolutionResult
    from grindstone.evolve.session import SessionLimits
    from grindstone.evolve.writers import (
        WriterResult,
        distill_bloated,
        draft_from_success,
        evolve_task_skill,
    )

_HOMES = {
    "AEvolveEngine": "engine",
    "EvolutionEngine": "engine",
    "EvolutionResult": "result",
    "EvolveConfig": "config",
    "Refusal": "permissions",
    "SessionLimits": "session",
    "WriterResult": "writers",
    "distill_bloated": "writers",
    "draft_from_success": "writers",
    "evolve_task_skill": "writers",
}

__all__ = [
    "AEvolveEngine",
    "EvolutionEngine",
    "EvolutionResult",
    "EvolveConfig",
    "Refusal",
    "SessionLimits",
    "WriterResult",
    "distill_bloated",
    "draft_from_success",
    "evolve_task_skill",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"grindstone.evolve.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grindstone.evolve' has no attribute {name!r}")
