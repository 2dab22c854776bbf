"""The runs of a home, and one run with its attempts."""

from typing import TYPE_CHECKING, Any

from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.runs import EvolutionRow, GateDecisionRow, IncidentRow, RunRow
from grindstone.records import Episode, Usage
from grindstone.report.run_diff import run_parts
from grindstone.report.run_list import find_run, list_runs
from grindstone.report.words import attempt_cost
from grindstone.steering import orders_of
from grindstone.view.documents import AttemptLine, OrderLine, RunDocument, RunsDocument

if TYPE_CHECKING:
    import polars as pl


def runs_document(ledger: Ledger) -> RunsDocument:
    """Return all runs."""
    return RunsDocument(home=ledger.home.root.name, runs=tuple(list_runs(ledger)))


def run_document(ledger: Ledger, run_key: str) -> RunDocument:
    """Return one run with all its attempts.

    Raises:
        InputError: There is no such run.
    """
    key = find_run(ledger, run_key)
    states = ledger.rows(RunRow, key)
    latest = max(states, key=lambda row: row.sequence)
    [line] = list_runs(ledger, [key])
    return RunDocument(
        run=line,
        note=latest.note,
        left_out=latest.left_out,
        settings=latest.settings,
        attempts=attempt_lines(ledger, ledger.scan(Episode, key), key),
        evolutions=tuple(sorted(ledger.rows(EvolutionRow, key), key=lambda row: row.at)),
        parts=run_parts(ledger, key),
        gates=tuple(sorted(ledger.rows(GateDecisionRow, key), key=lambda row: row.at)),
        incidents=tuple(ledger.rows(IncidentRow, key)),
        orders=tuple(
            OrderLine(at=order.at, by=order.by, via=order.via, told=", ".join(order.words))
            for order in orders_of(ledger.home.run(key))
        ),
    )


def attempt_lines(
    ledger: Ledger, episodes: "pl.LazyFrame", run_key: str | None = None
) -> tuple[AttemptLine, ...]:
    """Return attempts as lists show them, the latest started last.

    Args:
        ledger: The home's.
        episodes: Rows of its episodes.
        run_key: The run they are all of; None: of several.
    """
    import polars as pl

    skill = pl.col("skill")
    uses = (
        ledger.scan(SkillUseRow, run_key)
        .group_by("episode_id")
        .agg(
            skill.filter(pl.col("offered")).sort().alias("offered"),
            skill.filter(pl.col("loaded")).sort().alias("loaded"),
        )
    )
    tokens = pl.sum_horizontal(*Usage.model_fields)
    frame = (
        episodes.with_columns(tokens.alias("tokens"))
        .join(uses, on="episode_id", how="left")
        .with_columns(pl.col("offered", "loaded").fill_null([]))
        .sort("started_at", "episode_id")
        .select([*(AttemptLine.model_fields.keys() - {"cost"}), "rehearsal"])
        .collect()
    )
    return tuple(_line(row) for row in frame.iter_rows(named=True))


def _line(row: dict[str, Any]) -> AttemptLine:
    cost = attempt_cost(row["cost_usd"], row["tokens"], rehearsal=row.pop("rehearsal"))
    return AttemptLine.model_validate({**row, "cost": cost})
