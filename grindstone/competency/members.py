"""Whom a task can be routed to."""

from collections.abc import Sequence

from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.records import Episode


def chosen_members(ledger: Ledger, wanted: Sequence[str]) -> list[str]:
    """Return the agents to choose from: those named, or all that live in the ledger's home.

    Raises:
        InputError: There is no agent, one is named twice, or nobody has heard of one.
    """
    here = ledger.home.agents()
    names = list(wanted) or here
    if not names:
        raise InputError("member", f"no agent lives in {ledger.home}", "an agent's id")
    if len(set(names)) < len(names):
        raise InputError("member", f"one is named twice in {', '.join(names)}", "each once")
    if set(names) <= set(here):
        return names
    import polars as pl  # noqa: PLC0415 - loaded when the ledger is read, not before

    tried = ledger.scan(Episode).select(pl.col("agent_id").unique()).collect()
    known = sorted({*here, *tried["agent_id"]})
    unknown = [
        InputError(
            "member",
            f"{name} is no agent of {ledger.home}",
            f"one of {', '.join(known)}" if known else "an agent that has run here",
        )
        for name in names
        if name not in known
    ]
    if unknown:
        raise InputError.together(unknown)
    return names
