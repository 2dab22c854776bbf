"""The Competency Engine: how good an agent is per domain, what to train, whom to ask.

Names are loaded when they are first used, so importing the room costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.competency.evaluation import Action as Action
    from grindstone.competency.evaluation import CompetencyEval as CompetencyEval
    from grindstone.competency.evaluation import CompetencyResult as CompetencyResult
    from grindstone.competency.graph import DependencyGraph as DependencyGraph

_HOMES = {
    "Action": "evaluation",
    "CompetencyEval": "evaluation",
    "CompetencyResult": "evaluation",
    "DependencyGraph": "graph",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
