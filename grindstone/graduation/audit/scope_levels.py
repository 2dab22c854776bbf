"""Which level an agent has in which part of its work."""

from collections.abc import Sequence
from datetime import datetime

from grindstone.base import Frozen
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.report.words import table
from grindstone.text import minute


class ScopeStanding(Frozen):
    """The level an agent has in one scope of its work."""

    scope: str  # empty: everywhere else
    covers: str
    level: Level
    since: datetime | None
    apart: bool  # given for this scope; else the level of everything holds in it


def scope_levels(registry: Registry, agent_id: str) -> tuple[ScopeStanding, ...]:
    """Return the levels of an agent by scope; the one that holds everywhere else is the last."""
    policy = registry.policy(agent_id)
    overall = agent_of(registry.chain.events(), agent_id)
    agents = [each for each in registry.standings(agent_id) if each.scope]
    left = _taken_elsewhere(registry, agent_id)
    if not (agents or left):
        return ()
    return left + tuple(
        ScopeStanding(
            scope=each.scope,
            covers=policy.scope_of(each.scope).describe() if each.scope else "all other work",
            level=each.level,
            since=each.since,
            apart=each.stands_apart,
        )
        for each in (*agents, overall)
    )


def _taken_elsewhere(registry: Registry, agent_id: str) -> tuple[ScopeStanding, ...]:
    """Return the levels taken in scopes as the policy does not draw them any more."""
    events, policy = registry.chain.events(), registry.policy(agent_id)
    names = {each.scope for each in events if each.scope and each.agent_id == agent_id}
    found = []
    for name in sorted(names):
        agent = agent_of(events, agent_id, name)
        drawn = policy.scope_of(name) if name in policy.scope_names else None
        if agent.taken is not None and agent.taken != drawn:
            found.append(
                ScopeStanding(
                    scope=name,
                    covers=f"{agent.taken.describe()}, as drawn when the level was taken",
                    level=agent.level,
                    since=agent.since,
                    apart=True,
                )
            )
    return tuple(found)


def scope_levels_markdown(found: Sequence[ScopeStanding]) -> str:
    """Return the levels as a table under a heading."""
    rows = [
        (
            each.scope or "(elsewhere)",
            each.covers,
            each.level.value,
            minute(each.since) if each.since else "",
            "" if each.apart else "as elsewhere",
        )
        for each in found
    ]
    heads = ("scope", "covers", "level", "since (UTC)", "")
    return "\n\n".join(["## Levels by scope", table(heads, rows)])
