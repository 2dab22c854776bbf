"""Losing a level: the grounds for it, and what follows from them."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from grindstone.errors import RefusedError
from grindstone.gate.watch import watch
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.decisions.lapse import SYSTEM
from grindstone.graduation.decisions.promotion import demote, propose
from grindstone.graduation.evidence.record import CRITICAL_SCORE, Recent
from grindstone.graduation.evidence.requirements import criteria_met
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy, PromotionStep, WatchRule
from grindstone.graduation.rules.streaks import CLEAN_SCORE

if TYPE_CHECKING:
    import polars as pl

AGENTS_AT_ONCE = 500
"""Agents whose episodes are held in memory together."""

Grounds = tuple[str, ...]
"""Why an agent should lose its level, one sentence each."""


def grounds_to_demote(
    registry: Registry, agents: Mapping[str, Agent], scope: str | None = None
) -> dict[str, Grounds]:
    """Return which agents should lose their level, and why; those that hold it are left out.

    Args:
        registry: Ledger and policies.
        agents: The agents, all of them in the scope that is meant.
        scope: Its name; None: that of each one's policy.
    """
    found: dict[str, Grounds] = {}
    above = [name for name, agent in agents.items() if agent.level is not Level.STUDENT]
    for policy, names in registry.by_policy(above, at_once=AGENTS_AT_ONCE, scope=scope):
        frame = _meant(registry, policy, {name: agents[name] for name in names})
        for (name,), own in frame.group_by("agent_id", maintain_order=True):
            grounds = _grounds(own, agents[str(name)].level, policy)
            if grounds:
                found[str(name)] = grounds
    return found


def lower(
    registry: Registry, agent: Agent, grounds: Grounds
) -> Literal["none", "proposed", "demoted"]:
    """Take a level away, or propose it, as the agent's policy says."""
    below, mode = agent.level.below, registry.policy(agent.agent_id).demotion.mode
    if below is None:
        return "none"
    reason = "; ".join(grounds)
    evidence: dict[str, JsonValue] = {"grounds": list(grounds)}
    if mode == "propose":
        propose(registry, agent, below, reason=reason, evidence=evidence)
        return "proposed"
    try:
        demote(registry, agent, below, by=SYSTEM, reason=reason, evidence=evidence)
    except RefusedError:  # another process was first
        return "none"
    return "demoted"


def demote_if_due(registry: Registry, agent: Agent) -> None:
    """Lower an agent's level, or propose it, when it no longer holds it."""
    grounds = grounds_to_demote(registry, {agent.agent_id: agent}, agent.scope)
    if grounds:
        lower(registry, agent, grounds[agent.agent_id])


def _meant(registry: Registry, policy: Policy, agents: Mapping[str, Agent]) -> "pl.DataFrame":
    """Return the episodes that can cost the agents their level, in the order they happened."""
    from grindstone.graduation.evidence import measure

    counted = policy.model_copy(update={"purposes": policy.demotion.purposes})
    since = {name: measure.Since(agent.level, agent.since) for name, agent in agents.items()}
    tables = measure.Tables.of(registry.ledger)
    facts = measure.facts(tables, digests=registry.digests(policy), agents=list(agents))
    return (
        measure.under_level(facts, counted, since)
        .select(
            *("agent_id", "episode_id", "started_at", "passed", "interventions"),
            "constitutional_score",
        )
        .sort("agent_id", "started_at", "episode_id")
        .collect()
    )


def _grounds(frame: "pl.DataFrame", level: Level, policy: Policy) -> Grounds:
    import polars as pl

    from grindstone.graduation.evidence import measure

    rule, grounds = policy.demotion, list[str]()
    breaches = frame.filter(pl.col("constitutional_score") <= CRITICAL_SCORE)
    if rule.on_critical_breach and breaches.height:
        grounds.append(f"critical breach in episode {breaches['episode_id'][-1]}")
    tail = frame["passed"].tail(rule.failures_in_a_row) if rule.failures_in_a_row else None
    if tail is not None and len(tail) == rule.failures_in_a_row and not tail.any():
        grounds.append(f"{rule.failures_in_a_row} failures in a row")
    if rule.on_lost_criteria and frame.height >= rule.settle:
        step = policy.step_to(level)
        latest = measure.recent_of(frame.lazy(), step.considered).drop("agent_id").collect()
        recent = Recent.model_validate(latest.row(0, named=True))
        held = criteria_met(recent, step, episodes=max(recent.episodes, step.min_episodes))
        grounds += [
            f"the criteria of {level.value} no longer hold: {item.gap}"
            for item in held
            if not item.met and item.name in ("intervention_rate", "constitutional_score")
        ]
        grounds += _too_many_failed(recent, step, level)
    if rule.watch is not None and level in rule.watch.levels:
        grounds += _watched(frame, rule.watch)
    return tuple(grounds)


def _too_many_failed(recent: Recent, step: PromotionStep, level: Level) -> Grounds:
    """Return whether more failed than may, however the rest of the latest episodes turns out.

    The rate itself says little at first: the first failure of five would be 20%.
    """
    failed = recent.episodes - recent.succeeded
    allowed = math.floor((1 - step.min_success_rate) * step.considered + 1e-9)
    if not step.min_success_rate or failed <= allowed:
        return ()
    return (
        f"the criteria of {level.value} no longer hold: {failed} of the latest {recent.episodes} "
        f"episodes failed (at most {allowed} of {step.considered} may)",
    )


def _watched(frame: "pl.DataFrame", rule: WatchRule) -> Grounds:
    """Return whether clean runs were ever shown to be rarer than they must be.

    An episode that no rule pack has checked is no outcome yet.
    """
    import polars as pl

    clean = frame.filter(pl.col("constitutional_score").is_not_null()).select(
        pl.col("passed").fill_null(value=False)
        & (pl.col("interventions") == 0)
        & (pl.col("constitutional_score") >= CLEAN_SCORE)
    )
    seen = watch(clean.to_series().cast(pl.Float64).to_list(), floor=rule.floor, alpha=rule.alpha)
    if not seen.alarm:
        return ()
    return (
        f"clean runs are rarer than {rule.floor:.0%}: {seen.rate or 0:.0%} of {seen.outcomes}, at "
        f"most {seen.at_most:.0%} (over all looks, wrong once in {1 / rule.alpha:.0f})",
    )
