"""`grindstone up` and `grindstone down`: server, worker and deployments of a home."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit, finish, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("up")(up)
    app.command("down")(down)


def up(
    work_dir: WorkDir = Path("evolution_workdir"),
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of server and UI. By default the home's last one, at first 4200.",
            min=1,
            max=65535,
        ),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            envvar="GRINDSTONE_DATABASE_URL",
            help="PostgreSQL for many workers: postgresql+asyncpg://user:password@host/name. "
            "Empty: SQLite in the home.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Start a Prefect server and a worker for this home and deploy all flows to them."""
    from grindstone.errors import Cause, InfrastructureError, InputError
    from grindstone.extras import has_extra, remedy
    from grindstone.flows.deployment.deploying import bring_up, first_form
    from grindstone.flows.deployment.schedules import look_patiently
    from grindstone.flows.serving.login import login, login_file

    if (database_url or "").startswith("postgresql") and not has_extra("postgres"):
        raise InputError("--database-url", "asyncpg is not installed", remedy("postgres"))
    home = work_dir.absolute()
    state = bring_up(home, port=port, database_url=database_url, tell=say)
    schedules = look_patiently(state.api_url, login(home))
    told = schedules.sentence(home)
    if schedules.idle:
        raise InfrastructureError(Cause.PREFECT_SERVER, f"up at {state.ui_url}, but {told}")
    say(f"Schedules: {told}")
    say(f"Log in at the UI with the line in {login_file(home)}")
    if form := first_form(state, login(home)):
        say(f"Try it: {form}")
    emit(
        state,
        as_json=as_json,
        text=f"Prefect UI: {state.ui_url}\nViewer: {state.ui_url}/grindstone/",
    )


def down(work_dir: WorkDir = Path("evolution_workdir"), as_json: JsonFlag = False) -> None:
    """End the server and the worker that `up` started."""
    from grindstone.flows.serving.server import down as end

    ended = end(work_dir.absolute())
    text = f"Ended: {', '.join(ended)}" if ended else f"Nothing was running for {work_dir}."
    emit({"ended": ended}, as_json=as_json, text=text)
    finish(bool(ended))
