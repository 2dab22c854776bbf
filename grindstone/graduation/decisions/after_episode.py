"""The check after each episode, at a price that does not grow with the record.

What an agent's skills and capabilities are judged by is read once per process and kept;
each episode is then added to it. That only arouses suspicion: a level changes after the
ledger was read again, so that what other processes wrote counts and a stale memory never
decides. What it misses because of them, the next review finds.
"""

import asyncio
from collections.abc import Collection
from pathlib import Path

from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.constitution.checking import check_at_once, overall
from grindstone.graduation.decisions.demotion import demote_if_due
from grindstone.graduation.evidence.ordered_fold import OrderedFold
from grindstone.graduation.evidence.skill_levels import (
    SkillEvidence,
    SkillLevels,
    capability_of,
    capability_standing,
    changes,
    evidence_of,
    is_verified,
    note_changes,
    skill_standing,
    stand,
    use_of,
)
from grindstone.graduation.registry import Registry, open_desk
from grindstone.graduation.rules.capabilities import CapabilityTally, Use
from grindstone.graduation.rules.policy import Policy
from grindstone.graduation.rules.streaks import SkillRun, StreakTally
from grindstone.home import Home
from grindstone.records import Episode, Trajectory


def follow_up(
    registry: Registry, episode: Episode, levels: SkillLevels | None
) -> tuple[AuditEvent, ...]:
    """Bring into the audit trail what an agent earned or lost by an episode.

    Args:
        registry: The home's.
        episode: What happened.
        levels: Where the agent's skills and capabilities stand since; None: where they stood.

    Returns:
        The agent's new events.
    """
    agent_id, known = episode.agent_id, len(registry.chain.events())
    if levels is not None and changes(registry.agent(agent_id), levels):
        note_changes(registry, levels)
    if episode.purpose in registry.policy(agent_id).demotion.purposes:
        for agent in registry.standings(agent_id):
            demote_if_due(registry, agent)
    return tuple(each for each in registry.chain.events()[known:] if each.agent_id == agent_id)


class IncrementalReview:
    """Follows the agents of one home, episode by episode; belongs to one event loop.

    Args:
        home: The home, with its own policies and rule packs where it has some.
    """

    def __init__(self, home: Home | Path | str) -> None:
        self._home = home
        self._desk: Registry | None = None
        self._memories: dict[str, _Memory] = {}
        self._turn = asyncio.Lock()

    async def after(
        self, episode: Episode, trajectory: Trajectory | None, skills: Collection[str]
    ) -> tuple[AuditEvent, ...]:
        """Check an episode that is in the ledger; the same one again changes nothing.

        Args:
            episode: A scored one.
            trajectory: Its steps; None: they are read from the ledger.
            skills: Those it loaded or followed.

        Returns:
            What it changed, as the audit trail has it.

        Raises:
            GrindstoneError: A policy, a rule pack or the audit trail cannot be used.
        """
        async with self._turn:  # waited for here, where it holds no thread
            return await asyncio.to_thread(self._after, episode, trajectory, skills)

    def _after(
        self, episode: Episode, trajectory: Trajectory | None, skills: Collection[str]
    ) -> tuple[AuditEvent, ...]:
        if self._desk is None:
            self._desk = open_desk(self._home)
        registry, agent_id = self._desk, episode.agent_id
        policy = registry.policy(agent_id)
        results = check_at_once(registry, episode, trajectory)
        if results is None or not policy.counts(episode):
            return ()
        score = overall(results, episode.constitutional_score)
        moved = self._moved(registry, policy, registry.agent(agent_id), episode, skills, score)
        return follow_up(registry, episode, moved)

    def _moved(
        self,
        registry: Registry,
        policy: Policy,
        agent: Agent,
        episode: Episode,
        skills: Collection[str],
        score: float | None,
    ) -> SkillLevels | None:
        """Return where skills and capabilities stand, None where nothing can have moved."""
        memory = self._memories.get(agent.agent_id)
        if memory is not None:
            memory.add(episode, skills, score)
            if not changes(agent, memory.standing(agent, episode, skills)):
                return None
        evidence = evidence_of(registry, policy, [agent.agent_id])[agent.agent_id]
        self._memories[agent.agent_id] = _Memory(agent, policy, evidence)
        return stand(agent, policy, evidence)


class _Memory:
    """What is known of one agent."""

    def __init__(self, agent: Agent, policy: Policy, evidence: SkillEvidence) -> None:
        self._policy = policy
        self._resets = agent.capability_resets
        self._uses = {name: self._outcomes(name, uses) for name, uses in evidence.uses.items()}
        self._runs = {name: self._skill(runs) for name, runs in evidence.runs.items()}

    def _outcomes(self, name: str, uses: list[Use]) -> OrderedFold[Use, CapabilityTally]:
        rule, reset_at = self._policy.capabilities, self._resets.get(name)

        def step(tally: CapabilityTally, use: Use) -> CapabilityTally:
            return tally if reset_at and use.at <= reset_at else tally.after(use, rule)

        return OrderedFold(CapabilityTally(), step, uses)

    def _skill(self, runs: list[SkillRun]) -> OrderedFold[SkillRun, StreakTally]:
        required = self._policy.streaks
        return OrderedFold(StreakTally(), lambda tally, run: tally.after(run, required), runs)

    def add(self, episode: Episode, skills: Collection[str], score: float | None) -> None:
        at, key, passed = episode.started_at, episode.episode_id, bool(episode.passed)
        touched = episode.human_intervention_count
        # What nobody verified counts once somebody rates it, which no attempt waits for.
        if capability_of(episode) and is_verified(episode):
            name = capability_of(episode)
            uses = self._uses.setdefault(name, self._outcomes(name, []))
            uses.add(use_of(at, key, passed, touched, score))
        for skill in skills:
            runs = self._runs.setdefault(skill, self._skill([]))
            runs.add(SkillRun(at, key, passed, touched, score, episode.difficulty))

    def standing(self, agent: Agent, episode: Episode, skills: Collection[str]) -> SkillLevels:
        """Return where those stand that an episode touched."""
        rule, streaks = self._policy.capabilities, self._policy.streaks
        uses = self._uses.get(capability_of(episode))
        return SkillLevels(
            agent_id=agent.agent_id,
            level=agent.level,
            skills=tuple(
                skill_standing(name, self._runs[name].state.streak(streaks), agent)
                for name in sorted(skills)
            ),
            capabilities=(capability_standing(capability_of(episode), uses.state.standing(rule)),)
            if uses is not None
            else (),
        )
