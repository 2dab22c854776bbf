"""The errors nobody foresaw that a run still stands with: what was done again is no loss."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.runs import IncidentRow
from grindstone.records import Episode, Outcome
from grindstone.report.model import IncidentLine

if TYPE_CHECKING:
    import polars as pl

_PLACE = ("purpose", "arm", "task_id", "cycle", "trial")


def standing_incidents(ledger: Ledger, *run_keys: str) -> tuple[IncidentLine, ...]:
    """Return what some runs still stand with, the oldest first within each."""
    return tuple(
        line
        for run_key in run_keys
        if (rows := ledger.rows(IncidentRow, run_key))
        for line in standing_of(rows, ledger.scan(Episode, run_key).collect())
    )


def standing_of(rows: Sequence[IncidentRow], episodes: "pl.DataFrame") -> tuple[IncidentLine, ...]:
    """Return what still stands of a run's incidents.

    An attempt that was made again and scored is settled, and so is a step that came to its end
    in a later process of the run.

    Args:
        rows: Of the run.
        episodes: All of the run's.
    """
    scored: set[tuple[Any, ...]] = set()
    places: dict[str, tuple[Any, ...]] = {}
    for row in episodes.select("episode_id", "outcome", *_PLACE).iter_rows():
        places[row[0]] = row[2:]
        if row[1] != Outcome.ERROR.value:
            scored.add(row[2:])
    found: dict[Any, IncidentRow] = {}
    for incident in sorted(rows, key=lambda row: row.at):
        where = places.get(incident.episode_id)
        if incident.settled:
            found = {key: row for key, row in found.items() if row.step != incident.step}
        elif where not in scored:
            found[where or incident.incident_id] = incident
    return tuple(
        IncidentLine(**{name: getattr(row, name) for name in IncidentLine.model_fields})
        for row in found.values()
    )
