"""From a profile's row to its solver."""

from pkgutil import resolve_name

from grindstone.agents.profiles import Profile
from grindstone.agents.protocol import Solver
from grindstone.agents.recorder import OnStep


def solver_for(profile: Profile, *, on_step: OnStep | None = None) -> Solver:
    """Return the solver of a profile.

    Args:
        profile: Which one.
        on_step: Told of every step of the trajectory as it is recorded.
    """
    solver: Solver = resolve_name(profile.solver)(on_step=on_step)
    return solver
