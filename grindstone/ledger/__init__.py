"""The ledger: append-only parquet, queries, plots, reports and exports.

Names are loaded when they are first used, so importing the room costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.ledger.describe import describe_tables as describe_tables
    from grindstone.ledger.exports import ExportFormat as ExportFormat
    from grindstone.ledger.exports import export_run as export_run
    from grindstone.ledger.html import render_html as render_html
    from grindstone.ledger.markdown import headline as headline
    from grindstone.ledger.markdown import render_markdown as render_markdown
    from grindstone.ledger.report import RunReport as RunReport
    from grindstone.ledger.report import build_report as build_report
    from grindstone.ledger.report import to_json as to_json
    from grindstone.ledger.row import LedgerError as LedgerError
    from grindstone.ledger.row import Row as Row
    from grindstone.ledger.row import table_of as table_of
    from grindstone.ledger.store import Ledger as Ledger
    from grindstone.ledger.tables import TABLES as TABLES

_HOMES = {
    "ExportFormat": "grindstone.ledger.exports",
    "Ledger": "grindstone.ledger.store",
    "LedgerError": "grindstone.ledger.row",
    "Row": "grindstone.ledger.row",
    "RunReport": "grindstone.ledger.report",
    "TABLES": "grindstone.ledger.tables",
    "build_report": "grindstone.ledger.report",
    "describe_tables": "grindstone.ledger.describe",
    "export_run": "grindstone.ledger.exports",
    "headline": "grindstone.ledger.markdown",
    "render_html": "grindstone.ledger.html",
    "render_markdown": "grindstone.ledger.markdown",
    "table_of": "grindstone.ledger.row",
    "to_json": "grindstone.ledger.report",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
