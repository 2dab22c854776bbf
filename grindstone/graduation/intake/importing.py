"""Episodes of other systems, from JSONL or Parquet: a file is taken whole or not at all."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue, NonNegativeInt, ValidationError

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation.audit.event import EventDraft, EventKind
from grindstone.graduation.intake.plausible import refuse_claims
from grindstone.graduation.intake.recording import Recorded, Work, keep, rows_for
from grindstone.graduation.intake.same_work import known_work, mark_of
from grindstone.graduation.registry import Registry
from grindstone.ledger.recall import rows_of
from grindstone.records import Episode, Purpose
from grindstone.text import count
from grindstone.untrusted import read_json

REPORTED = 1000
"""Refused rows the report lists; it counts all."""


class RefusedRow(Frozen):
    """One row that cannot be an episode."""

    row: NonNegativeInt  # from 1
    field: str
    problem: str


class ImportReport(Frozen):
    """What became of a file."""

    path: str
    rows: NonNegativeInt
    imported: NonNegativeInt  # all rows or none
    refused_count: NonNegativeInt
    refused: tuple[RefusedRow, ...]
    agents: tuple[str, ...] = ()
    run_key: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the file went in."""
        return self.refused_count == 0 and self.rows > 0


def import_file(registry: Registry, path: Path, *, by: str) -> ImportReport:
    """Take over a file's episodes; a single bad row keeps the whole file out.

    The same file again changes nothing.

    Args:
        registry: Where they go.
        path: `.jsonl`, one object per line, or `.parquet`; fields as in `Work`.
        by: Who imports it.

    Raises:
        InputError: The file cannot be read at all, or nobody is named.
    """
    by = registry.person(by, "import").name
    content = path.read_bytes() if path.is_file() else None
    if content is None:
        raise InputError(str(path), "no such file", "a .jsonl or .parquet file")
    run_key = f"import-{hashlib.sha256(content).hexdigest()[:16]}"
    recorded: list[Recorded] = []
    refused: list[RefusedRow] = []
    seen: dict[str, int] = {}
    count, now, agents = 0, registry.clock(), registry.agent_names()
    for number, given in _rows(path, content):
        count += 1
        if isinstance(given, str):
            refused.append(RefusedRow(row=number, field="", problem=given))
            continue
        try:
            work = Work.model_validate(_aware(given))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            refused.append(
                RefusedRow(
                    row=number, field=where, problem=first["msg"].removeprefix("Value error, ")
                )
            )
            continue
        try:
            refuse_claims(work, agents, now)
        except InputError as error:
            refused.append(RefusedRow(row=number, field=error.where, problem=error.problem))
            continue
        item = rows_for(registry, work, run_key=run_key, purpose=Purpose.IMPORT, now=now)
        key = item.episode.episode_id
        if key in seen:
            problem = f"{key!r} stands in row {seen[key]} already"
            refused.append(RefusedRow(row=number, field="episode_id", problem=problem))
            continue
        seen[key] = number
        recorded.append(item)
    refused += _known_elsewhere(registry, seen, run_key)
    refused += _told_twice(registry, recorded, seen, run_key)
    if count == 0:
        refused.append(RefusedRow(row=0, field="", problem="the file holds no row"))
    report = ImportReport(
        path=str(path),
        rows=count,
        imported=0 if refused else count,
        refused_count=len(refused),
        refused=tuple(sorted(refused, key=lambda item: item.row)[:REPORTED]),
        agents=tuple(sorted({item.episode.agent_id for item in recorded})),
        run_key=run_key,
    )
    if not refused:
        keep(registry, recorded, run_key=run_key)
        registry.chain.append(lambda events: _event(events, report, by=by, now=now))
    return report


def _rows(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, JsonValue] | str]]:
    """Yield each row, or what is wrong with it, with its number from 1."""
    if path.suffix == ".parquet":
        yield from enumerate(_parquet(path), start=1)
        return
    if path.suffix not in (".jsonl", ".ndjson"):
        raise InputError(str(path), f"ends with {path.suffix!r}", ".jsonl or .parquet")
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = read_json(line)
        except ValueError as error:
            yield number, f"is no JSON: {error}"
            continue
        yield number, found if isinstance(found, dict) else "is no JSON object"


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(str(path), f"cannot be read: {error}", "a parquet file") from error
    nested = ("metadata", "actions", "human_edits", "ratings")
    for row in frame.iter_rows(named=True):
        given = {name: value for name, value in row.items() if value is not None}
        for name in nested:
            if isinstance(given.get(name), str):
                try:
                    given[name] = read_json(given[name])
                except ValueError:
                    continue  # refused by the model, with its field's name
        yield given


def _aware(given: dict[str, JsonValue]) -> dict[str, Any]:
    """Take a time without a zone for UTC, as the ledger's own are."""
    found: dict[str, Any] = dict(given)
    for name in ("started_at", "ended_at"):
        value = found.get(name)
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                continue
        if isinstance(value, datetime):
            found[name] = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return found


def _known_elsewhere(registry: Registry, seen: dict[str, int], run_key: str) -> list[RefusedRow]:
    if not seen:
        return []
    known = rows_of(registry.ledger, Episode, None, list(seen))
    return [
        RefusedRow(
            row=seen[row.episode_id],
            field="episode_id",
            problem=f"{row.episode_id!r} is in the ledger already, from run {row.run_key}",
        )
        for row in known
        if row.run_key != run_key
    ]


def _told_twice(
    registry: Registry, recorded: list[Recorded], seen: dict[str, int], run_key: str
) -> list[RefusedRow]:
    """Return the rows that tell, under another id, work which the file or the ledger tells."""
    known = known_work(registry, recorded)
    first: dict[str, int] = {}
    found: list[RefusedRow] = []
    for item in recorded:
        row, mark = seen[item.episode.episode_id], mark_of(item)
        before = first.setdefault(mark, row)
        other = next(
            (
                each
                for each in known.get(mark, ())
                if each.run_key != run_key and each.episode_id not in seen
            ),
            None,
        )
        if before != row:
            problem = f"tells the work of row {before} under another id"
        elif other is not None:
            problem = f"tells the work of {other.episode_id!r}, from run {other.run_key}"
        else:
            continue
        found.append(RefusedRow(row=row, field="episode_id", problem=problem))
    return found


def _event(
    events: tuple[Any, ...], report: ImportReport, *, by: str, now: datetime
) -> EventDraft | None:
    if any(
        event.kind is EventKind.IMPORTED and event.evidence.get("run_key") == report.run_key
        for event in events
    ):
        return None
    return EventDraft(
        kind=EventKind.IMPORTED,
        subject=Path(report.path).name,
        by=by,
        reason=f"{count(report.imported, 'episode')} of {count(len(report.agents), 'agent')}",
        evidence={
            "run_key": report.run_key,
            "rows": report.rows,
            "agents": list(report.agents[:REPORTED]),
        },
        at=now,
    )
