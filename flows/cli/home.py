"""Options that name a home and an agent in it, with the variables the settings have too."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grindstone.flows.cli.environment import variable_names
from grindstone.home import Home

if TYPE_CHECKING:
    from grindstone.graduation import GraduationService


def known_agent(home: Home, agent_id: str, *, recorded: bool = False) -> str:
    """Return the id of an agent that is there.

    Args:
        home: Where it is looked for.
        agent_id: As the user wrote it.
        recorded: An agent without a workspace will do, if it has attempts.

    Raises:
        InputError: There is no such agent; those there are, are named.
    """
    from grindstone.runs.roster import recorded_agents, require_agent

    known = home.agents()
    if recorded and agent_id not in known:
        known = sorted(recorded_agents(home))
    return require_agent(home, agent_id, known, field="--agent-id")


def with_record(service: "GraduationService", agent_id: str) -> "GraduationService":
    """Return the service, if it knows of the agent.

    Raises:
        InputError: It does not: an empty trail would look like a clean one.
    """
    from grindstone.runs.roster import require_agent

    registry = service.registry
    require_agent(registry.home, agent_id, registry.agents(), field="--agent-id")
    return service


def home_folder(place: Path | str) -> Path:
    """Return the folder to work in, for a folder or an address."""
    from grindstone.remote.place import folder_of

    return folder_of(place)


def host_path(**option: Any) -> Any:
    """Return an option that is a path of this machine; `--flag=~/…` means the user's folder."""
    from grindstone.files import from_home

    return typer.Option(parser=from_home, metavar="PATH", **option)


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
