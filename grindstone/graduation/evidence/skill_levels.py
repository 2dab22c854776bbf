"""What an agent's single skills and capabilities may do, from the ledger."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from grindstone.base import Frozen
from grindstone.graduation.audit.chain import Decide
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.standing import Agent, agent_of
from grindstone.graduation.evidence.record import CRITICAL_SCORE
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.capabilities import Standing, Use, standing
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy
from grindstone.graduation.rules.streaks import SkillRun, Streak, skill_level, streak
from grindstone.records import Episode

AGENTS_AT_ONCE = 500
"""Agents whose runs and outcomes are held in memory together."""

MADE_HERE = "task_digest"
"""An episode with a task's digest was graded by that task's verifier."""


class SkillStanding(Frozen):
    """Where one skill stands."""

    skill: str
    streak: int
    required: int
    runs: int
    earned: bool
    level: Level


class CapabilityStanding(Frozen):
    """Where one capability stands."""

    capability: str
    level: Level
    successes: int
    uses: int
    to_next: int | None


class SkillLevels(Frozen):
    """An agent's skills and capabilities."""

    agent_id: str
    level: Level
    skills: tuple[SkillStanding, ...] = ()
    capabilities: tuple[CapabilityStanding, ...] = ()

    def of_capability(self, name: str) -> Level:
        """Return what a capability may do: its own level, STUDENT until it has earned another."""
        for item in self.capabilities:
            if item.capability == name:
                return item.level
        return Level.STUDENT


def capability_of(episode: Episode) -> str:
    """Return the capability an episode used; empty when it names none."""
    return str(episode.metadata.get("capability") or "") or episode.category


def is_verified(episode: Episode) -> bool:
    """Whether an episode's outcome was verified when it was recorded."""
    return bool(episode.task_digest or episode.metadata.get("verified_by"))


def own_levels(registry: Registry, agent_id: str) -> SkillLevels:
    """Return where an agent's skills and capabilities stand."""
    return own_levels_of(registry, {agent_id: registry.agent(agent_id)})[agent_id]


def own_levels_of(registry: Registry, agents: Mapping[str, Agent]) -> dict[str, SkillLevels]:
    """Return where many agents' skills and capabilities stand, read in few passes.

    Args:
        registry: Ledger and policies.
        agents: The agents as the trail has them.
    """
    found: dict[str, SkillLevels] = {}
    for policy, names in registry.by_policy(agents, at_once=AGENTS_AT_ONCE):
        evidence = evidence_of(registry, policy, names)
        found |= {name: stand(agents[name], policy, evidence[name]) for name in names}
    return found


class SkillEvidence(NamedTuple):
    """What an agent's skills and capabilities are judged by, in the order it happened."""

    uses: dict[str, list[Use]]  # by capability
    runs: dict[str, list[SkillRun]]  # by skill


def evidence_of(
    registry: Registry, policy: Policy, agent_ids: Sequence[str]
) -> dict[str, SkillEvidence]:
    """Return agents' verified outcomes by capability and runs by skill.

    A capability is what an episode's metadata calls so, else its category. Its outcomes
    count when they were verified: by a task's verifier, by a person's rating, or by whoever
    the episode names in `verified_by`. What breached a critical rule, or a person had to
    correct, is no success.
    """
    import polars as pl

    from grindstone.graduation.evidence import measure

    tables = measure.Tables.of(registry.ledger)
    facts = measure.facts(tables, digests=registry.digests(policy), agents=agent_ids)
    named = pl.col("metadata").str.json_path_match("$.capability").fill_null("")
    by_someone = pl.col("metadata").str.json_path_match("$.verified_by").fill_null("")
    frame = (
        measure.of_record(facts, policy)
        .select(
            *measure.KEY,
            *("agent_id", "started_at", "passed", "interventions", "constitutional_score"),
            *("difficulty", "rating"),
            pl.when(named != "").then(named).otherwise(pl.col("category")).alias("capability"),
            ((pl.col(MADE_HERE) != "") | pl.col("rating").is_not_null() | (by_someone != "")).alias(
                "verified"
            ),
        )
        .sort("started_at", "episode_id")
        .collect()
    )
    found = {name: SkillEvidence({}, {}) for name in agent_ids}
    liked = pl.col("rating").is_null() | (pl.col("rating") >= policy.good_rating - 1e-9)
    proven = frame.filter(pl.col("verified") & (pl.col("capability") != ""))
    for name, capability, *use in proven.select(
        *("agent_id", "capability", "started_at", "episode_id"),
        *(pl.col("passed") & liked, "interventions", "constitutional_score"),
    ).iter_rows():
        found[name].uses.setdefault(capability, []).append(use_of(*use))
    loaded = tables.skill_uses.filter(pl.col("loaded") | pl.col("followed"))
    runs = frame.lazy().join(loaded.select(*measure.KEY, "skill").unique(), on=measure.KEY)
    for name, skill, *run in (
        runs.sort("started_at", "episode_id")
        .select(
            *("agent_id", "skill", "started_at", "episode_id", "passed", "interventions"),
            *("constitutional_score", "difficulty"),
        )
        .collect()
        .iter_rows()
    ):
        found[name].runs.setdefault(skill, []).append(SkillRun(*run))
    return found


def use_of(
    at: datetime, episode_id: str, passed: bool, interventions: int, score: float | None
) -> Use:
    """Return what an episode says of its capability.

    Args:
        at: When it started.
        episode_id: Its id.
        passed: Whether it was verified to be right.
        interventions: How often a person corrected it.
        score: Its constitutional score; None: not checked, or not decided.
    """
    breached = score is not None and score <= CRITICAL_SCORE
    return Use(at, episode_id, passed and not interventions and not breached)


def stand(agent: Agent, policy: Policy, evidence: SkillEvidence) -> SkillLevels:
    """Return where one agent's skills and capabilities stand by what they did."""
    return SkillLevels(
        agent_id=agent.agent_id,
        level=agent.level,
        skills=tuple(
            skill_standing(name, streak(evidence.runs[name], policy.streaks), agent)
            for name in sorted(evidence.runs)
        ),
        capabilities=tuple(
            capability_standing(
                name,
                standing(
                    evidence.uses[name],
                    policy.capabilities,
                    reset_at=agent.capability_resets.get(name),
                ),
            )
            for name in sorted(evidence.uses)
        ),
    )


def changes(agent: Agent, found: SkillLevels) -> bool:
    """Tell whether skills or capabilities stand elsewhere than the trail has them."""
    return any(_skill_moves(agent, item) for item in found.skills) or any(
        _capability_moves(agent, item) for item in found.capabilities
    )


def note_changes(registry: Registry, found: SkillLevels) -> tuple[str, ...]:
    """Bring skills and capabilities whose level changed into the audit trail.

    Returns:
        One sentence per change.
    """
    told: list[str] = []
    decisions: list[Decide] = [
        *(partial(_skill_change, registry, found.agent_id, item) for item in found.skills),
        *(
            partial(_capability_change, registry, found.agent_id, item)
            for item in found.capabilities
        ),
    ]
    for decide in decisions:
        event = registry.chain.append(decide)
        if event is not None:
            told.append(event.reason)
    return tuple(told)


def skill_standing(name: str, found: Streak, agent: Agent) -> SkillStanding:
    """Return a streak as the standing of an agent's skill."""
    return SkillStanding(
        skill=name,
        streak=found.length,
        required=found.required,
        runs=found.runs,
        earned=found.earned,
        level=skill_level(found, agent.level, approved=name in agent.released_skills),
    )


def capability_standing(name: str, found: Standing) -> CapabilityStanding:
    """Return a fold over outcomes as the standing of a capability."""
    return CapabilityStanding(
        capability=name,
        level=found.level,
        successes=found.successes,
        uses=found.uses,
        to_next=found.to_next,
    )


def _skill_moves(agent: Agent, skill: SkillStanding) -> bool:
    lost = skill.skill in agent.released_skills and not skill.earned
    return lost or _is_autonomous(skill) != (skill.skill in agent.promoted_skills)


def _is_autonomous(skill: SkillStanding) -> bool:
    return skill.level is Level.AUTONOMOUS and skill.earned


def _capability_moves(agent: Agent, item: CapabilityStanding) -> bool:
    return agent.capability_levels.get(item.capability, Level.STUDENT) is not item.level


def _skill_change(
    registry: Registry, agent_id: str, skill: SkillStanding, events: tuple[AuditEvent, ...]
) -> EventDraft | None:
    agent = agent_of(events, agent_id)
    if not _skill_moves(agent, skill):
        return None
    promoted = _is_autonomous(skill)
    kind = EventKind.SKILL_PROMOTED if promoted else EventKind.SKILL_DEMOTED
    reason = (
        f"skill {skill.skill}: {skill.streak} clean runs in a row"
        if promoted
        else f"skill {skill.skill}: its streak of clean runs is broken"
    )
    return EventDraft(
        kind=kind,
        agent_id=agent.agent_id,
        subject=skill.skill,
        to_level=skill.level,
        by="grindstone",
        reason=reason,
        evidence={"streak": skill.streak, "required": skill.required, "runs": skill.runs},
        at=registry.clock(),
    )


def _capability_change(
    registry: Registry, agent_id: str, item: CapabilityStanding, events: tuple[AuditEvent, ...]
) -> EventDraft | None:
    agent = agent_of(events, agent_id)
    if not _capability_moves(agent, item):
        return None
    before = agent.capability_levels.get(item.capability, Level.STUDENT)
    return EventDraft(
        kind=EventKind.CAPABILITY_CHANGED,
        agent_id=agent.agent_id,
        subject=item.capability,
        from_level=before,
        to_level=item.level,
        by="grindstone",
        reason=f"capability {item.capability}: {before.value} → {item.level.value} after "
        f"{item.successes} verified successes",
        evidence={"successes": item.successes, "uses": item.uses},
        at=registry.clock(),
    )
