"""`grindstone home`: a home as a whole."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit, finish, say
from grindstone.text import count

PLACE = "A folder, or s3://…, gs://…, az://…."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Copy a home, check one, say who may what in one."
    )
    group.command("copy")(copy)
    group.command("check")(check)
    group.command("policy")(policy)
    app.add_typer(group, name="home")


def copy(
    source: Annotated[str, typer.Argument(help=f"The home. {PLACE}")],
    target: Annotated[str, typer.Argument(help=f"Where the copy is to be. {PLACE}")],
    as_json: JsonFlag = False,
) -> None:
    """Copy a whole home and check each file by its digest; the same again goes on with it."""
    from grindstone.runs.home_copy import copy_home

    done = copy_home(source, target, tell=say)
    lines = [
        f"{count(done.files, 'file')}, {done.size / 1e6:.1f} MB: "
        f"{done.copied} copied now, all checked.",
        *(f"Left out: {each}" for each in done.left_out),
    ]
    emit(done._asdict(), as_json=as_json, text="\n".join(lines))


def check(
    work_dir: WorkDir = Path("evolution_workdir"),
    as_json: JsonFlag = False,
) -> None:
    """Read all that a home keeps; exit 1 where something is damaged."""
    from grindstone.graduation.audit.chain import Chain
    from grindstone.graduation.audit.event import AuditError
    from grindstone.home import Home
    from grindstone.runs.home_check import check_home

    home = Home.at(work_dir)
    found = check_home(home)
    faults = list(found.faults)
    try:
        events = len(Chain(home).events())
    except AuditError as error:
        events = 0
        faults.append(str(error))
    counted = found._asdict() | {"events": events, "faults": faults}
    text = (
        f"{count(found.parts, 'part')} of {count(found.rows, 'row')}, "
        f"{count(found.calls, 'paid call')}, "
        f"{count(found.workspaces, 'workspace')}, {count(events, 'audit event')}: "
    )
    told = "\n".join([text + ("sound." if not faults else "NOT SOUND"), *faults])
    emit(counted, as_json=as_json, text=told)
    finish(not faults)


def policy(
    run_key: Annotated[str, typer.Argument(help="The run whose workers get credentials.")],
    work_dir: WorkDir = Path("evolution_workdir"),
) -> None:
    """Print what a run's workers may do in S3, for short-lived credentials of theirs."""
    from grindstone.home import Home
    from grindstone.remote.policy import worker_policy

    home = Home.at(work_dir)
    found = worker_policy(str(home) if home.mirror is None else home.mirror.store.url, run_key)
    emit(found, as_json=True, text="")
