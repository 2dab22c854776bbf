"""All runs of a home, a line each: what `grindstone runs` lists and `grindstone diff` heads."""

from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.home import is_one_name
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RUNNING, RunRow
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode, Outcome
from grindstone.report.words import money
from grindstone.steering import steer_of

if TYPE_CHECKING:
    from collections.abc import Iterable

PAUSED = "paused"


class RunLine(Frozen):
    """One run: what it was, how it ended, what it took."""

    run_key: str
    kind: str
    agent_id: str
    model: str
    rehearsal: bool
    status: str
    """As `RunRow.present_status` has it; paused: it goes on, and an order says to wait."""
    n_tasks: int
    attempts: int
    """Of every purpose, those of gates and comparisons included."""
    passed: int
    errors: int
    """Attempts without a score."""
    cost_usd: float | None
    """The sum of the known prices; None: no price is known."""
    unpriced: int
    """Calls without a known price."""
    cost: str
    """The same in words, as the report has it."""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    """None while it runs."""

    @property
    def goes_on(self) -> bool:
        """Whether a process drives it."""
        return self.status in (RUNNING, PAUSED)

    @property
    def duration_s(self) -> float | None:
        """Wall-clock seconds from first start to end, pauses between resumes included."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()


def list_runs(ledger: Ledger, run_keys: "Iterable[str] | None" = None) -> list[RunLine]:
    """Return the runs of a home, the latest started last.

    Args:
        ledger: The home's.
        run_keys: Only these; None: all.
    """
    wanted = None if run_keys is None else set(run_keys)
    states: dict[str, list[RunRow]] = {}
    for row in ledger.rows(RunRow):
        if is_one_name(row.run_key) and (wanted is None or row.run_key in wanted):
            states.setdefault(row.run_key, []).append(row)
    attempts, costs = _attempts(ledger), _costs(ledger)
    lines = []
    for key, rows in states.items():
        first, last = min(rows, key=_sequence), max(rows, key=_sequence)
        total, passed, errors, own = attempts.get(key, (0, 0, 0, None))
        cost, unpriced = costs.get(key, (own, 0))
        lines.append(
            RunLine(
                **last.model_dump(include={"run_key", "kind", "agent_id", "model", "rehearsal"}),
                status=_status(ledger, last),
                n_tasks=last.n_tasks,
                attempts=total,
                passed=passed,
                errors=errors,
                cost_usd=cost,
                unpriced=unpriced,
                cost=money(cost, unpriced, rehearsal=last.rehearsal),
                started_at=first.at,
                ended_at=None if last.status == RUNNING else last.at,
            )
        )
    return sorted(lines, key=lambda line: (line.started_at, line.run_key))


def find_run(ledger: Ledger, run_key: str) -> str:
    """Return the key of the one run that is named by its key or the start of it.

    Raises:
        InputError: No run, or more than one, is; the latest keys, or those, are named. Where only
            the row is gone, what may help is said.
    """
    keys = [key for key in ledger.runs("runs") if is_one_name(key)]
    latest = ", ".join(sorted(keys)[-5:]) or "none yet"
    if not run_key:
        raise InputError("run key", "is empty", f"one of this home's runs ({latest})")
    fits = [run_key] if run_key in keys else [key for key in keys if key.startswith(run_key)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        shown = ", ".join(sorted(fits)[:5])
        raise InputError(run_key, f"fits {len(fits)} runs ({shown})", "one run's key, or its start")
    if run_key in (*ledger.runs("episodes"), *ledger.home.run_folders()):
        raise InputError(
            run_key,
            "has left its traces here, and no row in the ledger's table runs, which is missing or "
            "damaged in part",
            f"{ledger.root / 'runs'} put back; or the command that made the run, "
            f"with --run-key {run_key}: it writes the row anew and repeats no attempt it finds",
        )
    raise InputError(run_key, "is no run of this home", f"one of its runs ({latest})")


def _status(ledger: Ledger, last: RunRow) -> str:
    status = last.present_status
    paused = status == RUNNING and steer_of(ledger.home.run(last.run_key)).paused
    return PAUSED if paused else status


def _sequence(row: RunRow) -> int:
    return row.sequence


def _attempts(ledger: Ledger) -> dict[str, tuple[int, int, int, float | None]]:
    import polars as pl

    outcome, cost = pl.col("outcome"), pl.col("cost_usd")
    frame = (
        ledger.scan(Episode)
        .group_by("run_key")
        .agg(
            pl.len(),
            (outcome == Outcome.PASSED.value).sum().alias("passed"),
            (outcome == Outcome.ERROR.value).sum().alias("errors"),
            pl.when(cost.count() > 0).then(cost.sum()).alias("cost_usd"),
        )
        .collect()
    )
    return {key: tuple(counted) for key, *counted in frame.iter_rows()}


def _costs(ledger: Ledger) -> dict[str, tuple[float | None, int]]:
    from grindstone.ledger import queries

    frame = queries.costs(ledger.scan(CallRecord), "run_key").collect()
    return {
        row["run_key"]: (row["cost_usd"], row["unpriced"]) for row in frame.iter_rows(named=True)
    }
