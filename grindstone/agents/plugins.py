"""Agents as code: solvers that others bring, by an entry point or by `module:factory`."""

import inspect
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import Any

from grindstone.agents.protocol import Brief, Solver
from grindstone.agents.recorder import OnStep
from grindstone.errors import Cause, GrindstoneError, InfrastructureError, InputError
from grindstone.llm.messages import Model
from grindstone.records import Trajectory
from grindstone.sandbox import Sandbox

GROUP = "grindstone.solvers"
"""The entry points of packages that bring solvers."""

EXPECTED = "module:factory, called with on_step=…, that returns a solver"


def missing(**_: Any) -> Solver:
    """Say that the profile needs a solver.

    Raises:
        InputError: Always.
    """
    raise InputError("solver", "is empty", f"a name of the group {GROUP}, or {EXPECTED}")


def plugged_in(choice: str) -> Callable[..., Solver]:
    """Return what makes the solver that a name or `module:factory` stands for.

    Raises:
        InputError: There is none.
    """
    if ":" not in choice:
        known = {point.name: point for point in entry_points(group=GROUP)}
        if choice not in known:
            there = ", ".join(sorted(known)) or "none is installed"
            raise InputError("solver", f"{choice} is none of {GROUP} ({there})", EXPECTED)
        choice = known[choice].value
    try:
        factory = resolve_name(choice)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError("solver", f"{choice}: {error}", EXPECTED) from error
    if not callable(factory):
        raise InputError("solver", f"{choice} cannot be called", EXPECTED)
    try:
        inspect.signature(factory).bind(on_step=None)
    except ValueError:
        pass  # some that are written in C tell none
    except TypeError as error:
        raise InputError("solver", f"{choice} does not take on_step: {error}", EXPECTED) from error
    return factory  # type: ignore[no-any-return]


def made(factory: Callable[..., Solver], on_step: OnStep | None) -> Solver:
    """Return a factory's solver.

    Raises:
        InputError: It is none.
    """
    solver = factory(on_step=on_step)
    if not callable(getattr(solver, "solve", None)):
        raise InputError(
            "solver", f"{type(solver).__name__} has no solve(brief, sandbox, model)", EXPECTED
        )
    return solver


async def solved_by(
    solver: Solver, brief: Brief, sandbox: Sandbox, model: Model | None
) -> Trajectory:
    """Have a solver of others try a task once: its errors are its own, not Grindstone's.

    Raises:
        InfrastructureError: The sandbox's or the service's; AGENT_BROKEN, when the code raises
            anything else or returns no trajectory.
    """
    name = type(solver).__name__
    try:
        found = await solver.solve(brief, sandbox, model)
    except GrindstoneError:
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{name}: {type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        raise InfrastructureError(Cause.AGENT_BROKEN, words) from error
    if not isinstance(found, Trajectory):
        words = f"{name}.solve returned {type(found).__name__}, expected a Trajectory"
        raise InfrastructureError(Cause.AGENT_BROKEN, words)
    return found
