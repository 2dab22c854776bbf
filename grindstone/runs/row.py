"""A run's row in the ledger: what it is, who drives it, how it ended."""

from typing import Any, Literal

from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RUNNING, RunRow
from grindstone.records import utc_now
from grindstone.runs.plan import Planned
from grindstone.sandbox.owner import Owner, this_process
from grindstone.settings import RunSettings

Ended = Literal["completed", "stopped", "failed", "interrupted"]


def begin_run(
    ledger: Ledger,
    planned: Planned,
    settings: RunSettings,
    *,
    model: str,
    profile: str,
    sandbox: str,
    rehearsal: bool,
) -> None:
    """Note that a run begins, or goes on, and that this process drives it from now on.

    Args:
        ledger: The run's.
        planned: What it is to do.
        settings: With saved blocks applied.
        model: What the solver's model id stands for.
        profile: How the solver works.
        sandbox: Which provider `auto` stands for.
        rehearsal: Whether a local program stands in for the model.

    Raises:
        InputError: `auto` stands for something else than when the run began.
    """
    key = planned.plan.run_key
    _check_same_choices(ledger, key, model=model, sandbox=sandbox)
    owner = this_process()
    _append(
        ledger,
        key,
        RUNNING,
        kind=planned.plan.kind,
        n_tasks=len(planned.tasks),
        left_out=planned.broken,
        owner_host=owner.host,
        owner_pid=owner.pid,
        owner_started=owner.started,
        model=model,
        profile=profile,
        sandbox=sandbox,
        rehearsal=rehearsal,
        agent_id=settings.agent_id,
        settings=settings.model_dump(mode="json", exclude={"work_dir"}),
    )


def end_run(
    ledger: Ledger, run_key: str, status: Ended, *, note: str = "", converged: bool | None = None
) -> None:
    """Note how a run that began has ended; `note` says why it ended early.

    Who lost the run to another process notes nothing: how it ends is for that one to say.
    """
    _append(ledger, run_key, status, mine=True, note=note, converged=converged)


def is_rehearsal(ledger: Ledger, run_key: str) -> bool:
    """Return whether a run is a rehearsal."""
    return any(row.rehearsal for row in ledger.rows(RunRow, run_key))


def _append(
    ledger: Ledger, run_key: str, status: str, *, mine: bool = False, **changes: Any
) -> None:
    """Add a change to a run's row; `mine` says that only who drives it may."""
    while True:
        rows = ledger.rows(RunRow, run_key)
        latest = max(rows, key=lambda row: row.sequence, default=None)
        if mine and latest and latest.owner_pid and _owner(latest) != this_process():
            return
        kept = latest.model_dump() if latest else {"run_key": run_key}
        kept |= {
            "sequence": latest.sequence + 1 if latest else 0,
            "status": status,
            "note": "",
            "at": utc_now(),
        }
        row = RunRow.model_validate(kept | changes)
        ledger.append([row], run_key=run_key)
        if row in ledger.rows(RunRow, run_key):  # else another process was faster
            return


def _owner(row: RunRow) -> Owner:
    return Owner(row.owner_host, row.owner_pid, row.owner_started)


def _check_same_choices(ledger: Ledger, run_key: str, *, model: str, sandbox: str) -> None:
    for row in ledger.rows(RunRow, run_key)[:1]:
        for name, was, now in (
            ("--model-id", row.model, model),
            ("--sandbox", row.sandbox, sandbox),
        ):
            if was != now:
                problem = f"stands for {now} now; run {run_key} began with {was}"
                raise InputError(name, problem, was)
