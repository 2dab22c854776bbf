"""What an agent's single skills and capabilities may do, from the ledger."""

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from grindstone.base import Frozen
from grindstone.graduation.audit.chain import Decide
from grindstone.graduation.audit.event import AuditEvent, Draft, EventKind
from grindstone.graduation.audit.standing import Agent, agent_of
from grindstone.graduation.capabilities import Use, standing
from grindstone.graduation.desk import Desk
from grindstone.graduation.levels import Level
from grindstone.graduation.streaks import Run, skill_level, streak

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


class OwnLevels(Frozen):
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


def own_levels(desk: Desk, agent_id: str) -> OwnLevels:
    """Return where an agent's skills and capabilities stand.

    A capability is what an episode's metadata calls so, else its category. Its outcomes
    count when they were verified: by a task's verifier, by a person's rating, or by whoever
    the episode names in `verified_by`.
    """
    import polars as pl  # noqa: PLC0415 - loaded when the ledger is read, not before

    from grindstone.graduation import measure  # noqa: PLC0415 - as above

    policy, agent = desk.policy(agent_id), desk.agent(agent_id)
    tables = measure.Tables.of(desk.ledger)
    purposes = [purpose.value for purpose in policy.purposes]
    facts = measure.facts(tables, digests=desk.digests(policy), agents=[agent_id]).filter(
        pl.col("purpose").is_in(purposes)
    )
    named = pl.col("metadata").str.json_path_match("$.capability").fill_null("")
    by_someone = pl.col("metadata").str.json_path_match("$.verified_by").fill_null("")
    frame = facts.with_columns(
        pl.when(named != "").then(named).otherwise(pl.col("category")).alias("capability"),
        ((pl.col(MADE_HERE) != "") | pl.col("rating").is_not_null() | (by_someone != "")).alias(
            "verified"
        ),
    ).collect()
    uses: defaultdict[str, list[Use]] = defaultdict(list)
    for row in frame.filter(pl.col("verified") & (pl.col("capability") != "")).iter_rows(
        named=True
    ):
        liked = row["rating"] is None or row["rating"] >= policy.good_rating - 1e-9
        uses[row["capability"]].append(
            Use(row["started_at"], row["episode_id"], bool(row["passed"] and liked))
        )
    loaded = tables.skill_uses.filter(pl.col("loaded") | pl.col("followed")).select(
        *measure.KEY, "skill"
    )
    runs: defaultdict[str, list[Run]] = defaultdict(list)
    for row in frame.lazy().join(loaded.unique(), on=measure.KEY).collect().iter_rows(named=True):
        runs[row["skill"]].append(
            Run(
                row["started_at"],
                row["episode_id"],
                row["passed"],
                row["interventions"],
                row["constitutional_score"],
                row["difficulty"],
            )
        )
    required = MappingProxyType(dict(policy.streaks))
    return OwnLevels(
        agent_id=agent_id,
        level=agent.level,
        skills=tuple(_skill(name, runs[name], required, agent) for name in sorted(runs)),
        capabilities=tuple(
            CapabilityStanding(
                capability=name,
                level=found.level,
                successes=found.successes,
                uses=found.uses,
                to_next=found.to_next,
            )
            for name in sorted(uses)
            for found in [
                standing(
                    uses[name],
                    policy.capabilities,
                    reset_at=agent.capability_resets.get(name),
                )
            ]
        ),
    )


def note_changes(desk: Desk, found: OwnLevels) -> tuple[str, ...]:
    """Bring skills and capabilities whose level changed into the audit trail.

    Returns:
        One sentence per change.
    """
    changes: list[str] = []
    decisions: list[Decide] = [
        *(partial(_skill_change, desk, found.agent_id, item) for item in found.skills),
        *(partial(_capability_change, desk, found.agent_id, item) for item in found.capabilities),
    ]
    for decide in decisions:
        event = desk.chain.append(decide)
        if event is not None:
            changes.append(event.reason)
    return tuple(changes)


def _skill(name: str, runs: list[Run], required: Mapping[str, int], agent: Agent) -> SkillStanding:
    found = streak(runs, MappingProxyType(dict(required)))
    approved = name in agent.released_skills
    return SkillStanding(
        skill=name,
        streak=found.length,
        required=found.required,
        runs=found.runs,
        earned=found.earned,
        level=skill_level(found, agent.level, approved=approved),
    )


def _skill_change(
    desk: Desk, agent_id: str, skill: SkillStanding, events: tuple[AuditEvent, ...]
) -> Draft | None:
    agent = agent_of(events, agent_id)
    promoted = skill.level is Level.AUTONOMOUS and skill.earned
    if promoted == (skill.skill in agent.promoted_skills):
        return None
    kind = EventKind.SKILL_PROMOTED if promoted else EventKind.SKILL_DEMOTED
    reason = (
        f"skill {skill.skill}: {skill.streak} clean runs in a row"
        if promoted
        else f"skill {skill.skill}: its streak of clean runs is broken"
    )
    return Draft(
        kind=kind,
        agent_id=agent.agent_id,
        subject=skill.skill,
        to_level=skill.level,
        by="grindstone",
        reason=reason,
        evidence={"streak": skill.streak, "required": skill.required, "runs": skill.runs},
        at=desk.clock(),
    )


def _capability_change(
    desk: Desk, agent_id: str, item: CapabilityStanding, events: tuple[AuditEvent, ...]
) -> Draft | None:
    agent = agent_of(events, agent_id)
    before = agent.capability_levels.get(item.capability, Level.STUDENT)
    if before is item.level:
        return None
    return Draft(
        kind=EventKind.CAPABILITY_CHANGED,
        agent_id=agent.agent_id,
        subject=item.capability,
        from_level=before,
        to_level=item.level,
        by="grindstone",
        reason=f"capability {item.capability}: {before.value} → {item.level.value} after "
        f"{item.successes} verified successes",
        evidence={"successes": item.successes, "uses": item.uses},
        at=desk.clock(),
    )
