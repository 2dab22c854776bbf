"""Giving orders to a run: who may be told what, and what a resumed run's settings say anew."""

import getpass
import math
import socket

from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RUNNING, RunRow
from grindstone.report.run_list import list_runs
from grindstone.runs.plan import Planned
from grindstone.settings import RunSettings
from grindstone.steering import LIMITS, NO_CEILING, GivenOrder, Order, give_order, orders_of

SLICING = ("slice_size", "max_slices")
"""Orders that only a run on a work pool can follow."""


def order_run(ledger: Ledger, run_key: str, order: Order, *, by: str, via: str) -> GivenOrder:
    """Give a run that goes on an order.

    Args:
        ledger: The home's.
        run_key: The run, its whole key.
        order: What is asked.
        by: Who asks.
        via: cli or viewer.

    Raises:
        InputError: It has ended; a ceiling in dollars could not be kept; or it is about slices,
            and the run sends none.
    """
    [line] = list_runs(ledger, [run_key])
    if not line.goes_on:
        expected = "one that goes on; a run that is resumed takes the flags it is given"
        raise InputError(run_key, f"is {line.status}", expected)
    capped = order.max_cost_usd is not None and order.max_cost_usd != math.inf
    if capped and line.unpriced:
        problem = f"{line.unpriced} calls of {run_key} have no known price"
        raise InputError("max_cost_usd", problem, "max_tokens_total instead")
    sliced = [name for name in SLICING if getattr(order, name) is not None]
    if sliced and _latest(ledger, run_key).settings.get("dispatch") != "deployment":
        problem = f"is about slices, and {run_key} makes its attempts itself"
        raise InputError(sliced[0], problem, "a run with dispatch: deployment")
    return give_order(ledger.home.run(run_key), order, by=by, via=via)


def _latest(ledger: Ledger, run_key: str) -> RunRow:
    """Return how a run that has begun was last begun."""
    begun = [row for row in ledger.rows(RunRow, run_key) if row.status == RUNNING]
    return max(begun, key=lambda row: row.sequence)


def note_changed_settings(ledger: Ledger, planned: Planned, settings: RunSettings) -> None:
    """Keep as an order what a resumed run's settings change, since they are the later word."""
    key = planned.plan.run_key
    folder = ledger.home.run(key)
    if not planned.resumed or not orders_of(folder):
        return
    if not any(row.status == RUNNING for row in ledger.rows(RunRow, key)):
        return
    before = _latest(ledger, key).settings
    now = settings.model_dump(mode="json", include=set(LIMITS))
    changed = {
        name: NO_CEILING.get(name) if value is None else value
        for name, value in now.items()
        if before.get(name) != value
    }
    if asked := {name: value for name, value in changed.items() if value is not None}:
        give_order(folder, Order.model_validate(asked), by=this_person(), via="resume")


def this_person() -> str:
    """Return who uses this process, `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
