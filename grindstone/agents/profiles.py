"""Which solver a profile is."""

from grindstone.agents.fixed import CheaterSolver, NopSolver, OracleSolver
from grindstone.agents.protocol import Solver
from grindstone.agents.recorder import OnStep
from grindstone.agents.strands import StrandsSolver
from grindstone.agents.terminus import TerminusSolver
from grindstone.settings import Profile


def solver_for(profile: Profile, *, on_step: OnStep | None = None) -> Solver:
    """Return the solver of a profile.

    Args:
        profile: One of `settings.Profile`.
        on_step: Told of every step of the trajectory as it is recorded.
    """
    match profile:
        case Profile.STRANDS:
            return StrandsSolver(on_step=on_step)
        case Profile.ORACLE:
            return OracleSolver(on_step)
        case Profile.NOP:
            return NopSolver(on_step)
        case Profile.CHEATER:
            return CheaterSolver(on_step)
        case Profile.TERMINUS2:
            return TerminusSolver(on_step=on_step)
        case Profile.TERMINUS2_LEGACY:
            return TerminusSolver(tmux=False, confirm=False, on_step=on_step)
