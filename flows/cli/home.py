"""Options that name a home and an agent in it, with the variables the settings have too."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.flows.cli.environment import variable_names


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
