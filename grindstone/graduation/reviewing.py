"""The review: who is ready, who no longer holds what they have, and what follows from it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from grindstone.base import Frozen
from grindstone.errors import RefusedError
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.checking import check
from grindstone.graduation.desk import Desk
from grindstone.graduation.levels import Level
from grindstone.graduation.own_levels import note_changes, own_levels
from grindstone.graduation.policy import Policy
from grindstone.graduation.promoting import (
    SYSTEM,
    demote,
    evidence_of,
    obstacles,
    promote,
    propose,
)
from grindstone.graduation.readiness import Readiness, Recent, criteria_met
from grindstone.llm.messages import Model
from grindstone.records import Episode

CHECKED_PER_REVIEW = 2000
"""Episodes a review checks at most against the rule packs; the rest is the next one's."""


class Decision(Frozen):
    """What a review concluded about one agent."""

    agent_id: str
    level: Level
    target: Level | None
    score: float
    ready: bool
    gaps: tuple[str, ...]
    action: Literal["none", "exam_due", "approval_due", "proposed", "promoted", "demoted"]
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
    desk: Desk, agent_ids: Sequence[str] = (), *, judge: Model | None = None
) -> Review:
    """Check what is unchecked, then look at every agent once.

    Args:
        desk: The home.
        agent_ids: Only these; empty for all.
        judge: Decides judged rules.
    """
    agents = {
        name: agent for name, agent in desk.agents().items() if not agent_ids or name in agent_ids
    }
    unchecked = unchecked_episodes(desk, list(agents))
    await check(desk, unchecked, judge=judge)
    by_step: defaultdict[tuple[str, Level], list[str]] = defaultdict(list)
    for name, agent in agents.items():
        if agent.level.above is not None:
            by_step[desk.policy(name).name, agent.level.above].append(name)
    readiness: dict[str, Readiness] = {}
    for (_, target), names in by_step.items():
        readiness |= desk.readiness_of(names, desk.policy(names[0]), target)
    decisions = [decide(desk, agent, readiness.get(name)) for name, agent in sorted(agents.items())]
    return Review(decisions=tuple(decisions), newly_checked=len(unchecked))


def decide(desk: Desk, agent: Agent, readiness: Readiness | None) -> Decision:
    """Conclude what is due for one agent, and do it where its policy lets the system act.

    Args:
        desk: The home.
        agent: The agent.
        readiness: For the next level up; None at the top.
    """
    policy = desk.policy(agent.agent_id)
    changes = note_changes(desk, own_levels(desk, agent.agent_id))
    seen: dict[str, object] = {
        "agent_id": agent.agent_id,
        "level": agent.level,
        "target": readiness.target if readiness else None,
        "score": readiness.score if readiness else 0.0,
        "ready": bool(readiness and readiness.ready),
        "gaps": readiness.gaps if readiness else (),
        "weakest": readiness.weakest if readiness else "",
        "recommendation": readiness.recommendation if readiness else "",
        "changes": changes,
    }
    lost = grounds_to_demote(desk, agent, policy)
    below = agent.level.below
    if lost and below is not None:
        reason = "; ".join(lost)
        if policy.demotion.mode == "apply":
            demote(
                desk,
                agent.agent_id,
                below,
                by=SYSTEM,
                reason=reason,
                evidence={"grounds": list(lost)},
            )
            seen |= {"action": "demoted", "level": below, "target": agent.level}
        else:
            propose(desk, agent.agent_id, below, reason=reason, evidence={"grounds": list(lost)})
            seen |= {"action": "proposed", "target": below}
        return Decision.model_validate(seen | {"reason": reason})
    if readiness is None:
        return Decision.model_validate(
            seen | {"action": "none", "reason": "at the highest level, and holds it"}
        )
    return Decision.model_validate(seen | _upwards(desk, agent, policy, readiness))


def grounds_to_demote(desk: Desk, agent: Agent, policy: Policy) -> tuple[str, ...]:
    """Return why an agent should lose its level; empty when it holds it."""
    if agent.level is Level.STUDENT:
        return ()
    import polars as pl  # noqa: PLC0415 - loaded when the ledger is read, not before

    from grindstone.graduation import measure  # noqa: PLC0415 - as above

    rule = policy.demotion
    live = policy.model_copy(update={"purposes": rule.purposes, "window": "level"})
    since = {agent.agent_id: measure.Since(agent.level, agent.since)}
    tables = measure.Tables.of(desk.ledger)
    found = measure.in_scope(
        measure.facts(tables, digests=desk.digests(policy), agents=[agent.agent_id]), live, since
    )
    rows = found.sort("started_at", "episode_id").select(
        *("agent_id", "episode_id", "started_at", "passed", "interventions"),
        "constitutional_score",
    )
    frame = rows.collect()
    grounds: list[str] = []
    breaches = frame.filter(pl.col("constitutional_score") <= measure.CRITICAL_SCORE)
    if rule.on_critical_breach and breaches.height:
        grounds.append(f"critical breach in episode {breaches['episode_id'][-1]}")
    tail = frame["passed"].tail(rule.failures_in_a_row) if rule.failures_in_a_row else None
    if tail is not None and len(tail) == rule.failures_in_a_row and not tail.any():
        grounds.append(f"{rule.failures_in_a_row} failures in a row")
    if rule.on_lost_criteria and frame.height >= rule.settle:
        step = policy.step_to(agent.level)
        latest = measure.recent_of(frame.lazy(), step.considered).drop("agent_id").collect()
        recent = Recent.model_validate(latest.row(0, named=True))
        held = criteria_met(recent, step, episodes=max(recent.episodes, step.min_episodes))
        grounds += [
            f"the criteria of {agent.level.value} no longer hold: {item.gap}"
            for item in held
            if not item.met and item.name in ("intervention_rate", "constitutional_score")
        ]
    return tuple(grounds)


def unchecked_episodes(desk: Desk, agent_ids: Sequence[str]) -> tuple[Episode, ...]:
    """Return episodes without a check by their policies' present packs, the latest first."""
    import polars as pl  # noqa: PLC0415 - loaded when the ledger is read, not before

    from grindstone.graduation import measure  # noqa: PLC0415 - as above

    by_policy: defaultdict[str, list[str]] = defaultdict(list)
    for name in agent_ids:
        by_policy[desk.policy(name).name].append(name)
    tables = measure.Tables.of(desk.ledger)
    wanted: list[str] = []
    for names in by_policy.values():
        policy = desk.policy(names[0])
        digests = list(desk.digests(policy))
        done = (
            tables.compliance.filter(pl.col("pack_digest").is_in(digests))
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
    return tuple(desk.episodes(wanted[:CHECKED_PER_REVIEW])) if wanted else ()


def _upwards(desk: Desk, agent: Agent, policy: Policy, readiness: Readiness) -> dict[str, object]:
    agent_id, target = agent.agent_id, readiness.target
    if not readiness.ready:
        return {"action": "none", "reason": readiness.recommendation}
    # Asking without a human shows what else is missing.
    missing = [
        item for item in obstacles(desk, agent, readiness, validated_by=SYSTEM) if not item.met
    ]
    names = {item.name for item in missing}
    if "exam" in names:
        return {"action": "exam_due", "reason": _said(missing)}
    if "approval" in names:
        propose(
            desk,
            agent_id,
            target,
            reason=readiness.recommendation,
            evidence=evidence_of(readiness),
        )
        return {"action": "approval_due", "reason": _said(missing)}
    if policy.promotion == "apply":
        try:
            event = promote(desk, agent_id, target, validated_by=SYSTEM)
        except RefusedError as error:  # another process was first
            return {"action": "none", "reason": str(error)}
        return {"action": "promoted", "reason": event.reason, "level": target}
    propose(
        desk, agent_id, target, reason=readiness.recommendation, evidence=evidence_of(readiness)
    )
    return {"action": "proposed", "reason": readiness.recommendation}


def _said(missing: Sequence[object]) -> str:
    return "; ".join(str(getattr(item, "gap", "")) for item in missing)
