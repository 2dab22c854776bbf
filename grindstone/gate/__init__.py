"""Decisions about a change: statistics without input or output.

Names are loaded when they are first used, so importing the room costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from grindstone.gate.egl import compute_egl, is_converged

if TYPE_CHECKING:
    from grindstone.gate.calibration import GateCalibration as GateCalibration
    from grindstone.gate.calibration import summarise as summarise
    from grindstone.gate.paired import Pair as Pair
    from grindstone.gate.paired import PairedComparison as PairedComparison
    from grindstone.gate.paired import compare_paired as compare_paired
    from grindstone.gate.power import detectable_effect as detectable_effect
    from grindstone.gate.power import pairs_needed as pairs_needed
    from grindstone.gate.power import sentence as sentence
    from grindstone.gate.rules import Decision as Decision
    from grindstone.gate.rules import Policy as Policy
    from grindstone.gate.rules import Rule as Rule
    from grindstone.gate.rules import decide as decide
    from grindstone.gate.rules import rule_of as rule_of
    from grindstone.gate.rules import settled as settled

_HOMES = {
    "Decision": "rules",
    "GateCalibration": "calibration",
    "Pair": "paired",
    "PairedComparison": "paired",
    "Policy": "rules",
    "Rule": "rules",
    "compare_paired": "paired",
    "decide": "rules",
    "detectable_effect": "power",
    "pairs_needed": "power",
    "rule_of": "rules",
    "sentence": "power",
    "settled": "rules",
    "summarise": "calibration",
}

__all__ = ["compute_egl", "is_converged"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"grindstone.gate.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
