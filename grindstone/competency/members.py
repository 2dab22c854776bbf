"""Whom a task can be routed to."""

from collections.abc import Sequence

from grindstone.competency.lineage import lineages_of
from grindstone.competency.measured import estimates, measure
from grindstone.competency.outcomes import OutcomeLog
from grindstone.competency.routing import MemberProfile
from grindstone.competency.tracker import CompetencyTracker
from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.records import Episode, Purpose
from grindstone.settings import RouteSettings


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
    import polars as pl

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


def members_of(
    ledger: Ledger, settings: RouteSettings, domains: Sequence[str]
) -> list[MemberProfile]:
    """Return the agents to choose from, each as its attempts and its routed tasks show it.

    A tracker starts from what the ledger's attempts measure, and moves with every outcome it was
    told of: routed tasks, and what trainings left. An attempt is one or the other.

    Raises:
        InputError: There is no agent, one is named twice, or nobody has heard of one.
    """
    names = chosen_members(ledger, settings.member)
    told = ledger.scan("outcomes").select("episode_id")
    table = measure(
        ledger.scan("episodes").join(told, on="episode_id", how="anti"),
        base=settings.base,
        prior_strength=settings.prior_strength,
        half_life_days=settings.half_life_days,
        leave_out=(Purpose.ROUTE,),
        lineages=lineages_of(ledger.home, names),
    )
    members = []
    for name in names:
        found = estimates(table, name, domains)
        seed = {domain: found[domain].score for domain in domains}
        tracker = CompetencyTracker(
            settings.base,
            {domain: score for domain, score in seed.items() if score is not None},
            log=OutcomeLog(ledger, name),
        )
        members.append(MemberProfile(name, tracker))
    return members
