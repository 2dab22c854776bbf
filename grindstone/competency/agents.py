"""Members as things that can be asked: functions, objects with `run` or `arun`."""

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from grindstone.competency.routing import MemberProfile
from grindstone.errors import InputError


def names_of(members: Sequence[MemberProfile]) -> list[str]:
    """Return the members' names.

    Raises:
        InputError: Two have the same one; the wrong agent could be run for it.
    """
    names = [member.name or _own_name(member.agent) for member in members]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        problem = f"more than one is named {', '.join(twice)}"
        raise InputError("members", problem, "MemberProfile(…, name=…) with a name of its own")
    return names


def _own_name(agent: Any) -> str:
    if isinstance(agent, str):
        return agent
    given = getattr(agent, "name", None) or getattr(agent, "__name__", None)
    return given if isinstance(given, str) else type(agent).__name__


def prepare(member: MemberProfile, model: Any, *, in_loop: bool = False) -> Callable[[str], Any]:
    """Return a function that asks a member; its answer may have to be awaited.

    Args:
        member: Whom.
        model: A stronger model for this task, None for the member's own. It is handed over
            as `model=` where the member takes that; otherwise the task goes to a copy of the
            agent whose `model` is this one. The agent itself is never changed.
        in_loop: Whether `arun` comes before `run`.

    Raises:
        InputError: The member cannot be asked.
    """
    agent = member.agent
    if isinstance(agent, str):
        raise InputError(
            f"member {agent!r}", "is a workspace", "the route flow, or a member that can be called"
        )
    asked = _entrance(agent, in_loop)
    if model is None:
        return asked
    if "model" in _parameters(asked):
        return partial(asked, model=model)
    if hasattr(agent, "model"):
        stronger = copy.copy(agent)
        stronger.model = model
        return _entrance(stronger, in_loop)
    return asked


def takes_model(member: MemberProfile) -> bool:
    """Return whether a member can be given another model for one task."""
    agent = member.agent
    return (
        isinstance(agent, str)
        or hasattr(agent, "model")
        or any("model" in _parameters(_entrance(agent, way)) for way in (False, True))
    )


def _entrance(agent: Any, in_loop: bool) -> Callable[..., Any]:
    for name in ("arun", "run") if in_loop else ("run", "arun"):
        method = getattr(agent, name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]
    if callable(agent):
        return agent  # type: ignore[no-any-return]
    raise InputError(
        f"member {_own_name(agent)!r}", "cannot be asked", "a function, or `run(task)`"
    )


def _parameters(asked: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(asked).parameters)
    except (TypeError, ValueError):
        return frozenset()
