"""Options that name a home and an agent in it, with the variables the settings have too."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.environment import variable_names
from grindstone.home import Home


def known_agent(home: Home, agent_id: str, *, recorded: bool = False) -> str:
    """Return the id of an agent that is there.

    Args:
        home: Where it is looked for.
        agent_id: As the user wrote it.
        recorded: An agent without a workspace will do, if it has attempts.

    Raises:
        InputError: There is no such agent; those there are, are named.
    """
    known = set(home.agents())
    if recorded and agent_id not in known:
        import polars as pl

        from grindstone.ledger import Ledger
        from grindstone.records import Episode

        ids = Ledger(home).scan(Episode).select(pl.col("agent_id").unique())
        known |= set(ids.collect().to_series())
    if agent_id in known:
        return agent_id
    there = ", ".join(sorted(known)) or "none yet; a run makes one"
    raise InputError("--agent-id", f"{agent_id!r} is no agent of {home}", f"one of those ({there})")


def home_folder(place: Path | str) -> Path:
    """Return the folder to work in, for a folder or an address."""
    from grindstone.remote.place import folder_of

    return folder_of(place)


WorkDir = Annotated[
    Path,
    typer.Option(
        "--work-dir",
        envvar=list(variable_names("work_dir")),
        show_envvar=False,
        parser=home_folder,
        metavar="PATH",
        help="Home of everything kept.",
    ),
]
AgentId = Annotated[
    str,
    typer.Option(
        "--agent-id",
        envvar=list(variable_names("agent_id")),
        show_envvar=False,
        help="Which agent.",
    ),
]
ScopeName = Annotated[
    str | None,
    typer.Option(
        "--scope",
        help="Part of the work, as the agent's policy names it. Empty: the one it gives levels in.",
    ),
]
