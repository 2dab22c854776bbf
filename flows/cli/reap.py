"""`grindstone reap`: end the sandboxes that dead runs left on this machine."""

from typing import Annotated

import typer

from grindstone.flows.cli.output import JsonFlag, emit


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reap")(reap)


def reap(
    every: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Look again and again, until Ctrl-C.", min=1.0),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """End the containers and boxes of this machine whose process is gone.

    Every run does so as it begins and ends, and `grindstone up` every minute. A machine with a
    worker alone has this command.
    """
    import asyncio
    import time

    from grindstone.sandbox.reaping import reap_dead

    while True:
        found = asyncio.run(reap_dead())
        lines = [f"{each.kind}: {each.problem or f'{each.ended} ended'}" for each in found]
        document = [each._asdict() for each in found]
        if every is None or any(each.ended or each.problem for each in found):
            emit(document, as_json=as_json, text="\n".join(lines) or "No sandboxes here.")
        if every is None:
            break
        time.sleep(every)
    if any(each.problem for each in found):
        raise typer.Exit(3)
