"""`grindstone steer`: orders to a run that goes on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit
from grindstone.text import second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grindstone.steering import GivenOrder


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("steer")(steer)


def steer(
    run_key: Annotated[str, typer.Argument(metavar="RUN", help="A run, or the start of its key.")],
    work_dir: WorkDir = Path("evolution_workdir"),
    pause: Annotated[
        bool, typer.Option("--pause", help="Begin no attempt and no learning step until --resume.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after --pause.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End it; its key resumes it.")] = False,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Try again the attempts that have no score.")
    ] = False,
    max_workers: Annotated[
        int | None, typer.Option(help="Attempts that run at once.", min=1, max=64)
    ] = None,
    max_cost_usd: Annotated[
        float | None, typer.Option(help="Ceiling in US dollars; inf: none.")
    ] = None,
    max_tokens_total: Annotated[
        int | None, typer.Option(help="Ceiling in tokens; 0: none.", min=0)
    ] = None,
    slice_size: Annotated[
        int | None, typer.Option(help="Attempts sent to a work pool together, at most.", min=1)
    ] = None,
    max_slices: Annotated[
        int | None, typer.Option(help="Slices on a work pool at once.", min=1)
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Give a run that goes on an order; without one, list the orders it was given.

    It is read within a second or so: between attempts, and before each call of a model. What
    stands in the run's other settings is part of its attempts and stays.
    """
    from grindstone.home import Home
    from grindstone.ledger import Ledger
    from grindstone.report.run_list import find_run
    from grindstone.runs.orders import order_run, this_person
    from grindstone.steering import Order, orders_of

    ledger = Ledger(Home.at(work_dir))
    key = find_run(ledger, run_key)
    if pause and resume:
        raise InputError("--pause", "is given with --resume", "one of them")
    if max_cost_usd is not None and not max_cost_usd > 0:
        raise InputError("--max-cost-usd", f"is {max_cost_usd}", "more than 0, or inf")
    asked: dict[str, object] = {
        "cancel": cancel,
        "retry_errors": retry_errors,
        "max_workers": max_workers,
        "max_cost_usd": max_cost_usd,
        "max_tokens_total": max_tokens_total,
        "slice_size": slice_size,
        "max_slices": max_slices,
    }
    asked = {
        name: value for name, value in asked.items() if value is not None and value is not False
    }
    if pause or resume:
        asked["paused"] = pause
    if not asked:
        _tell_orders(orders_of(ledger.home.run(key)), key, as_json=as_json)
        return
    if cancel and len(asked) > 1:
        raise InputError("--cancel", "is given with another order", "it alone")
    order = order_run(ledger, key, Order.model_validate(asked), by=this_person(), via="cli")
    emit(order, as_json=as_json, text=f"{key}: {order.sentence}")


def _tell_orders(orders: "Sequence[GivenOrder]", run_key: str, *, as_json: bool) -> None:
    emit(
        [order.model_dump(mode="json", exclude_none=True) for order in orders],
        as_json=as_json,
        text="\n".join(["at (UTC)", *(f"{second(each.at)}  {each.sentence}" for each in orders)])
        if orders
        else f"{run_key} was given no order.",
    )
