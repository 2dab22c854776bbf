"""Models behind one SDK: providers, journal, prices, budget.

Importing this imports no SDK; that happens at a model's first live call.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grindstone.llm.budget import Spend
    from grindstone.llm.calls import CallRecord
    from grindstone.llm.journal import Journal
    from grindstone.llm.models import Models, open_models
    from grindstone.llm.patience import Patience
    from grindstone.llm.providers import Provider, Resolved, resolve_model_id

_HOMES = {
    "CallRecord": "calls",
    "Journal": "journal",
    "Models": "models",
    "Patience": "patience",
    "Provider": "providers",
    "Resolved": "providers",
    "Spend": "budget",
    "open_models": "models",
    "resolve_model_id": "providers",
}

__all__ = [
    "CallRecord",
    "Journal",
    "Models",
    "Patience",
    "Provider",
    "Resolved",
    "Spend",
    "open_models",
    "resolve_model_id",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
