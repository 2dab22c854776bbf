"""Turning observations into skills, in a sandbox, under enforced permissions."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grindstone.evolve.config import EvolveConfig
    from grindstone.evolve.engine import AEvolveEngine, EvolutionEngine
    from grindstone.evolve.permissions import Refusal
    from grindstone.evolve.prompts import Draft
    from grindstone.evolve.result import EvolutionResult
    from grindstone.evolve.session import SessionLimits

_HOMES = {
    "AEvolveEngine": "engine",
    "Draft": "prompts",
    "EvolutionEngine": "engine",
    "EvolutionResult": "result",
    "EvolveConfig": "config",
    "Refusal": "permissions",
    "SessionLimits": "session",
}

__all__ = [
    "AEvolveEngine",
    "Draft",
    "EvolutionEngine",
    "EvolutionResult",
    "EvolveConfig",
    "Refusal",
    "SessionLimits",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"grindstone.evolve.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grindstone.evolve' has no attribute {name!r}")
