"""A run as files that other tools read."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from grindstone.digest import digest
from grindstone.files import write_atomic
from grindstone.ledger.row import LedgerError
from grindstone.ledger.store import Ledger, parquet_bytes
from grindstone.ledger.tables import TABLES
from grindstone.ledger.tables.attempts import StepRow, TrajectoryRow, trajectory_of
from grindstone.records import Episode
from grindstone.report.atif import to_atif
from grindstone.report.html import render_html
from grindstone.report.inspect_log import write_inspect_logs
from grindstone.report.markdown import render_markdown
from grindstone.report.model import to_json
from grindstone.report.run_report import build_report

if TYPE_CHECKING:
    import polars as pl


MOST_OF_A_TASK = 50
"""Characters of a task's id in a file's name, which the digest tells apart."""
_FORMULA = "^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_NUMBER = r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z"


class ExportFormat(StrEnum):
    """What a run can be exported to."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    MARKDOWN = "markdown"
    HTML = "html"
    ATIF = "atif"
    INSPECT = "inspect"


ALL_FORMATS = tuple(ExportFormat)
USUAL_FORMATS = tuple(each for each in ExportFormat if each is not ExportFormat.INSPECT)
"""Those that need nothing more installed."""


def export_run(
    ledger: Ledger, run_key: str, target: Path, formats: Iterable[str] = USUAL_FORMATS
) -> tuple[Path, ...]:
    """Write a run below a folder and return the files, in the order of the formats.

    report.json, report.md and report.html are the report; csv/ and parquet/ hold every
    table that has rows, each key once; atif/ holds one trajectory per attempt, named by
    task, arm (where it is one side of a gate or comparison), cycle, trial and a digest of the
    episode's id; inspect/ holds logs for `inspect view`, one per arm.

    Raises:
        InputError: A format needs what is not installed.
        LedgerError: The run left no rows, a format is unknown, or a part is damaged.
    """
    try:
        wanted = [ExportFormat(name) for name in formats]
    except ValueError as error:
        raise LedgerError(f"{error}; expected one of {', '.join(ALL_FORMATS)}") from error
    if run_key not in ledger.runs():
        known = ", ".join(ledger.runs()[-5:]) or "none"
        raise LedgerError(f"run {run_key}: left no rows; expected a run of {ledger.root}: {known}")
    written: list[Path] = []
    report = build_report(ledger, run_key)
    for name in wanted:
        match name:
            case ExportFormat.JSON:
                written.append(_write(target / "report.json", to_json(report)))
            case ExportFormat.MARKDOWN:
                written.append(_write(target / "report.md", render_markdown(report)))
            case ExportFormat.HTML:
                written.append(_write(target / "report.html", render_html(report)))
            case ExportFormat.CSV:
                for table, frame in _frames(ledger, run_key):
                    text = _no_formulas(flat(frame)).write_csv(quote_style="non_numeric")
                    written.append(_write(target / "csv" / f"{table}.csv", text))
            case ExportFormat.PARQUET:
                for table, frame in _frames(ledger, run_key):
                    data = parquet_bytes(frame)
                    written.append(_write(target / "parquet" / f"{table}.parquet", data))
            case ExportFormat.ATIF:
                written += _atif(ledger, run_key, target / "atif")
            case ExportFormat.INSPECT:
                written += write_inspect_logs(ledger, run_key, target / "inspect")
    return tuple(written)


def flat(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a frame whose lists and structs are JSON text, as CSV needs it."""
    import polars as pl

    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    return frame.with_columns(
        pl.Series(
            name,
            [
                None if value is None else json.dumps(value, ensure_ascii=False, default=str)
                for value in frame[name].to_list()
            ],
            pl.String,
        )
        for name in nested
    )


def _no_formulas(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a frame no text of which a spreadsheet takes for a formula.

    As OWASP advises ("CSV Injection"): an apostrophe goes before what begins like one. A text that
    is a number stays as it is, and so does every column of numbers.
    """
    import polars as pl

    text = pl.col(pl.String)
    risky = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    return frame.with_columns(pl.when(risky).then("'" + text).otherwise(text).name.keep())


def _frames(ledger: Ledger, run_key: str) -> Iterable[tuple[str, "pl.DataFrame"]]:
    for table in TABLES:
        frame = ledger.scan(table, run_key).collect()
        if frame.height:
            yield table, frame


def _atif(ledger: Ledger, run_key: str, folder: Path) -> list[Path]:
    steps: dict[str, list[StepRow]] = defaultdict(list)
    for step in ledger.rows(StepRow, run_key):
        steps[step.episode_id].append(step)
    wholes = {row.episode_id: row for row in ledger.rows(TrajectoryRow, run_key)}
    written: list[Path] = []
    for episode in ledger.rows(Episode, run_key):
        whole = wholes.get(episode.episode_id)
        if whole is None:
            continue
        document = to_atif(episode, trajectory_of(whole, steps[episode.episode_id]))
        short = digest(episode.episode_id)[:8]
        side = f"-{episode.arm}" if episode.arm else ""
        task = re.sub(r"[/\0]", "_", episode.task_id[:MOST_OF_A_TASK])
        name = f"{task}{side}-c{episode.cycle}-t{episode.trial}-{short}.json"
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        written.append(_write(folder / name, text))
    return sorted(written)


def _write(path: Path, content: str | bytes) -> Path:
    write_atomic(path, content)
    return path
