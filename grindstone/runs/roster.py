"""The agents of a home, and who is asked for by a name that none of them has."""

from collections.abc import Iterable

from grindstone.errors import InputError
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode

SHOWN = 20
"""So many agents a message names."""


def recorded_agents(home: Home) -> set[str]:
    """Return the agents that have attempts, or a workspace."""
    import polars as pl

    ids = Ledger(home).scan(Episode).select(pl.col("agent_id").unique()).collect()
    return {*home.agents(), *ids["agent_id"]}


def require_agent(
    home: Home, agent_id: str, known: Iterable[str] | None = None, *, field: str = "agent_id"
) -> str:
    """Return the id of an agent that is there.

    What works on an agent asks this before it does anything: a misspelt name would make a new
    agent, and pay for it. Only what begins an agent does without: `grind`, `adapt` and `compete`.

    Args:
        home: Where it is looked for.
        agent_id: As the user wrote it.
        known: Who is there; those with a workspace by default.
        field: The setting or option it came by.

    Raises:
        InputError: There is no such agent; those there are, are named.
    """
    there = sorted(set(home.agents() if known is None else known))
    if agent_id in there:
        return agent_id
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    names = f"one of those ({', '.join(there[:SHOWN])}{more})" if there else "one that has run"
    raise InputError(field, f"{agent_id!r} is no agent of {home.place}", names)
