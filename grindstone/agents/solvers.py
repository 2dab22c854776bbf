"""From a profile's row to its solver."""

from pkgutil import resolve_name

from grindstone.agents.agent_file import AgentFile
from grindstone.agents.plugins import made, plugged_in
from grindstone.agents.profiles import Profile
from grindstone.agents.protocol import Solver
from grindstone.agents.recorder import OnStep


def solver_for(
    profile: Profile,
    *,
    agent: AgentFile | None = None,
    plugin: str | None = None,
    on_step: OnStep | None = None,
) -> Solver:
    """Return the solver of a profile.

    Args:
        profile: Which one.
        agent: For `command`: the agent whose program is run.
        plugin: For `code`: a name of the entry points, or `module:factory`.
        on_step: Told of every step of the trajectory as it is recorded.

    Raises:
        InputError: The agent or the plugin is missing or none.
    """
    if profile is Profile.CODE and plugin is not None:
        return made(plugged_in(plugin), on_step)
    factory = resolve_name(profile.solver)
    given = {"agent": agent} if profile is Profile.COMMAND else {}
    solver: Solver = factory(on_step=on_step, **given)
    return solver
