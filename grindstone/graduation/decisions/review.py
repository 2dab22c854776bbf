"""The review: who is ready, who no longer holds what they have, and what follows from it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from grindstone.base import Frozen
from grindstone.boundary import step_boundary
from grindstone.errors import InternalError, RefusedError
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.constitution.checking import check
from grindstone.graduation.decisions.demotion import Grounds, grounds_to_demote, lower
from grindstone.graduation.decisions.lapse import SYSTEM, lapse_if_changed, lapses
from grindstone.graduation.decisions.promotion import (
    evidence_of,
    obstacles,
    promote,
    propose,
)
from grindstone.graduation.evidence.identity import AgentIdentity
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.evidence.skill_levels import (
    SkillLevels,
    changes,
    note_changes,
    own_levels_of,
)
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy
from grindstone.llm.messages import Model
from grindstone.records import Episode

CHECKED_PER_REVIEW = 2000
"""Episodes a review checks at most against the rule packs; the rest is the next one's."""


class Decision(Frozen):
    """What a review concluded about one agent."""

    agent_id: str
    scope: str = ""  # the part of its work that was looked at; empty: all of it
    level: Level
    target: Level | None
    score: float
    ready: bool
    gaps: tuple[str, ...]
    action: Literal[
        "none",
        "exam_due",
        "approval_due",
        "proposed",
        "promoted",
        "demoted",
        "lapsed",
        "not_reviewed",
    ]  # the last: an error nobody foresaw, told in `reason`
    reason: str
    weakest: str = ""
    recommendation: str = ""
    changes: tuple[str, ...] = ()  # of its skills and capabilities


class Review(Frozen):
    """A review of all agents."""

    decisions: tuple[Decision, ...]
    newly_checked: int = 0

    @property
    def waiting(self) -> tuple[Decision, ...]:
        """Those that wait for a person or an exam."""
        return tuple(
            item
            for item in self.decisions
            if item.action in ("exam_due", "approval_due", "proposed")
        )


async def review(
    registry: Registry, agent_ids: Sequence[str] = (), *, judge: Model | None = None
) -> Review:
    """Check what is unchecked, then look at every agent once.

    Args:
        registry: The home.
        agent_ids: Only these; empty for all.
        judge: Decides judged rules.
    """
    agents = {
        name: agent
        for name, agent in registry.agents().items()
        if not agent_ids or name in agent_ids
    }
    unchecked = unchecked_episodes(registry, list(agents), judged=judge is not None)
    await check(registry, unchecked, judge=judge)
    own = own_levels_of(registry, agents)
    decisions = _decisions(registry, agents, own, None)
    for scope, those in _other_scopes(registry, agents).items():
        decisions += _decisions(registry, those, own, scope)
    decisions.sort(key=lambda item: item.agent_id)
    return Review(decisions=tuple(decisions), newly_checked=len(unchecked))


def _other_scopes(registry: Registry, agents: Mapping[str, Agent]) -> dict[str, dict[str, Agent]]:
    """Return who has levels beside the one its policy gives first, by the scope's name."""
    found: defaultdict[str, dict[str, Agent]] = defaultdict(dict)
    several = [name for name in agents if registry.policy(name).scope_names != ("",)]
    for name, standings in registry.standings_of(several).items():
        for other in standings:
            if other.scope != agents[name].scope:
                found[other.scope][name] = other
    return found


def _decisions(
    registry: Registry,
    agents: Mapping[str, Agent],
    own: Mapping[str, SkillLevels],
    scope: str | None,
) -> list[Decision]:
    """Look at agents in one scope of their work; None: each in its policy's own."""
    readiness: dict[str, Readiness] = {}
    for policy, names in registry.by_policy(agents, scope=scope):
        by_target: defaultdict[Level, list[str]] = defaultdict(list)
        for name in names:
            if (above := agents[name].level.above) is not None:
                by_target[above].append(name)
        for target, those in by_target.items():
            readiness |= registry.readiness_of(those, policy, target)
    grounds, changed = grounds_to_demote(registry, agents, scope), lapses(registry, agents)
    return [
        _decision(
            registry,
            agent,
            readiness.get(name),
            own[name],
            grounds.get(name, ()),
            changed.get(name),
        )
        for name, agent in sorted(agents.items())
    ]


def _decision(
    registry: Registry,
    agent: Agent,
    readiness: Readiness | None,
    own: SkillLevels,
    lost: Grounds,
    changed: AgentIdentity | None,
) -> Decision:
    """Decide; where that fails for reasons nobody foresaw, the other agents have their review."""
    try:
        with step_boundary(f"review of {agent.agent_id}"):
            return decide(registry, agent, readiness, own, lost, changed)
    except InternalError as error:
        return Decision(
            agent_id=agent.agent_id,
            scope=agent.scope,
            level=agent.level,
            target=None,
            score=0.0,
            ready=False,
            gaps=(),
            action="not_reviewed",
            reason=str(error),
        )


def decide(
    registry: Registry,
    agent: Agent,
    readiness: Readiness | None,
    own: SkillLevels,
    lost: Grounds,
    changed: AgentIdentity | None = None,
) -> Decision:
    """Conclude what is due for one agent, and do it where its policy lets the system act.

    Args:
        registry: The home.
        agent: The agent.
        readiness: For the next level up; None at the top.
        own: Where its skills and capabilities stand.
        lost: Why it should lose its level.
        changed: What it is made of now, where that is not what its level was given to.
    """
    policy = registry.policy(agent.agent_id)
    seen: dict[str, object] = {
        "agent_id": agent.agent_id,
        "scope": agent.scope,
        "level": agent.level,
        "target": readiness.target if readiness else None,
        "score": readiness.score if readiness else 0.0,
        "ready": bool(readiness and readiness.ready),
        "gaps": readiness.gaps if readiness else (),
        "weakest": readiness.weakest if readiness else "",
        "recommendation": readiness.recommendation if readiness else "",
        "changes": note_changes(registry, own) if changes(agent, own) else (),
    }
    below = agent.level.below
    if lost and below is not None:
        action = lower(registry, agent, lost)
        seen |= {"action": action, "reason": "; ".join(lost), "target": below}
        if action == "demoted":
            seen |= {"level": below, "target": agent.level}
        return Decision.model_validate(seen)
    lapsed = lapse_if_changed(registry, agent, changed) if changed else None
    if lapsed is not None:
        seen |= {"action": "lapsed", "reason": lapsed.reason, "level": below, "target": agent.level}
        return Decision.model_validate(seen)
    if agent.lapsed_from is not None:
        due = f"{agent.lapsed_from.value} has lapsed; it comes back with a passed exam"
        return Decision.model_validate(
            seen | {"action": "exam_due", "reason": due, "target": agent.lapsed_from}
        )
    if readiness is None:
        return Decision.model_validate(
            seen | {"action": "none", "reason": "at the highest level, and holds it"}
        )
    return Decision.model_validate(seen | _upwards(registry, agent, policy, readiness))


def unchecked_episodes(
    registry: Registry, agent_ids: Sequence[str], *, judged: bool = False
) -> tuple[Episode, ...]:
    """Return episodes without a check by their policies' present packs, the latest first.

    Args:
        registry: The home.
        agent_ids: Whose.
        judged: There is a judge, so that checks which wait for one are none yet.
    """
    import polars as pl

    from grindstone.graduation.evidence import measure

    tables = measure.Tables.of(registry.ledger)
    wanted: list[str] = []
    for policy, names in registry.by_policy(agent_ids):
        digests = list(registry.digests(policy))
        done = (
            tables.compliance.filter(
                pl.col("pack_digest").is_in(digests)
                & ~(pl.lit(judged) & (pl.col("waits") == "judge").fill_null(False))
            )
            .group_by(measure.KEY)
            .agg(pl.col("pack_digest").n_unique().alias("packs"))
            .filter(pl.col("packs") == len(digests))
        )
        purposes = [purpose.value for purpose in policy.purposes]
        missing = (
            measure.scored(tables.episodes, agents=names)
            .filter(pl.col("purpose").is_in(purposes))
            .join(done, on=measure.KEY, how="anti")
            .sort("started_at", descending=True)
            .head(CHECKED_PER_REVIEW)
            .select("episode_id")
            .collect()
        )
        wanted += missing["episode_id"].to_list()
    return tuple(registry.episodes(wanted[:CHECKED_PER_REVIEW])) if wanted else ()


def _upwards(
    registry: Registry, agent: Agent, policy: Policy, readiness: Readiness
) -> dict[str, object]:
    target = readiness.target
    if not readiness.ready:
        return {"action": "none", "reason": readiness.recommendation}
    # Asking without a human shows what else is missing.
    missing = [
        item for item in obstacles(registry, agent, readiness, validated_by=SYSTEM) if not item.met
    ]
    names = {item.name for item in missing}
    if "refusal" in names or "exam" in names:
        action = "none" if "refusal" in names else "exam_due"
        return {"action": action, "reason": _said(missing)}
    if "approval" in names:
        propose(
            registry,
            agent,
            target,
            reason=readiness.recommendation,
            evidence=evidence_of(readiness),
        )
        return {"action": "approval_due", "reason": _said(missing)}
    if policy.promotion == "apply":
        try:
            event = promote(
                registry, agent.agent_id, target, validated_by=SYSTEM, scope=agent.scope
            )
        except RefusedError as error:  # another process was first
            return {"action": "none", "reason": str(error)}
        return {"action": "promoted", "reason": event.reason, "level": target}
    propose(
        registry, agent, target, reason=readiness.recommendation, evidence=evidence_of(readiness)
    )
    return {"action": "proposed", "reason": readiness.recommendation}


def _said(missing: Sequence[object]) -> str:
    return "; ".join(str(getattr(item, "gap", "")) for item in missing)
