"""The ledger: append-only parquet, queries, plots, reports and exports.

Names are loaded when they are first used, so importing the room costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.ledger.row import LedgerError as LedgerError
    from grindstone.ledger.row import Row as Row
    from grindstone.ledger.store import Ledger as Ledger
    from grindstone.ledger.tables import TABLES as TABLES

_HOMES = {
    "Ledger": "grindstone.ledger.store",
    "LedgerError": "grindstone.ledger.row",
    "Row": "grindstone.ledger.row",
    "TABLES": "grindstone.ledger.tables",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
