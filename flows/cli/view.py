"""`grindstone view`: the runs of a home in a browser, without a Prefect server."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("view")(view)


def view(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="A run to open, or two runs or parts of runs (KEY@cycle-1) to hold against each "
            "other; empty: the list."
        ),
    ] = None,
    work_dir: WorkDir = Path("evolution_workdir"),
    port: Annotated[int, typer.Option(help="Port; 0: any free one.", min=0, max=65535)] = 0,
    opened: Annotated[bool, typer.Option("--open/--no-open", help="Open the browser.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """Show runs, attempts, conversations and skills in a browser until Ctrl-C.

    It listens on 127.0.0.1 and changes nothing but by the orders given in it. The address it
    prints holds the home's login.
    """
    import asyncio
    import contextlib
    import webbrowser

    from grindstone.asgi import bound, serving
    from grindstone.errors import InputError
    from grindstone.flows.serving.login import as_header, login
    from grindstone.home import Home
    from grindstone.report.run_diff import find_side
    from grindstone.report.run_list import find_run
    from grindstone.runs.orders import this_person
    from grindstone.view.app import viewer_app
    from grindstone.view.site import Site

    home = Home.at(work_dir)
    site = Site(home)
    if not site.ledger.runs():
        raise InputError("--work-dir", f"{home} has no run yet", "a home with a run")
    keys = runs or []
    if len(keys) > 2:
        raise InputError("RUN", f"names {len(keys)} runs", "one run, or two")
    if len(keys) == 2:
        place = "/diff/" + "/".join(str(find_side(site.ledger, key)) for key in keys)
    else:
        place = "/" + "".join(f"run/{find_run(site.ledger, key)}" for key in keys)
    try:
        sock = bound(port=port)
    except OSError as error:
        raise InputError("--port", f"{port} cannot be used: {error}", "a free port") from error
    header = as_header(login(home.root))["Authorization"]
    address = f"http://127.0.0.1:{sock.getsockname()[1]}/#{place}"
    entry = f"{address}?login={header.removeprefix('Basic ')}"

    async def serve() -> None:
        async with serving(viewer_app(site, header, by=this_person()), sock):
            say(f"Viewer: {entry}\nCtrl-C ends it.")
            if as_json:
                emit({"address": entry}, as_json=True, text="")
            if opened:
                await asyncio.to_thread(webbrowser.open, entry)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):  # by which it was told to end
        asyncio.run(serve())
