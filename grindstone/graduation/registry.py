"""What graduation works with: ledger, audit trail, policies and rule packs of one home."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import JsonValue

from grindstone.errors import InputError
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.standing import Agent, agent_name, agent_of, agents_of
from grindstone.graduation.constitution.pack import Pack, load_packs
from grindstone.graduation.evidence.readiness import Readiness, assess
from grindstone.graduation.evidence.record import Record
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import (
    Approver,
    Approvers,
    Role,
    load_approvers,
    refuse_agents,
)
from grindstone.graduation.rules.policy import Policy, load_policies, policy_for
from grindstone.graduation.rules.scope import Scope, Subject
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.recall import rows_of
from grindstone.records import Episode, Outcome, utc_now
from grindstone.runs.elsewhere import bring_approvers, bring_rules


@dataclass(frozen=True)
class Registry:
    """One home's graduation office; its answers are computed anew each time."""

    home: Home
    ledger: Ledger
    chain: Chain
    policies: tuple[Policy, ...]
    packs: dict[str, Pack]
    clock: Callable[[], datetime] = field(default=utc_now)

    @property
    def approvers(self) -> Approvers:
        """The people the home knows now: who was taken off the list answers for nothing more.

        Raises:
            InputError: The file cannot be used.
            InfrastructureError: The storage of a remote home did not answer.
        """
        bring_approvers(self.home)
        return load_approvers(self.home.approvers)

    def person(
        self, name: str, role: Role, agent_id: str = "", where: str = "by", *, scope: str = ""
    ) -> Approver:
        """Return the person of that name, where it may do this for an agent in a scope.

        Raises:
            InputError: It is no person's name, an agent's, or the home's approvers forbid it.
        """
        found = self.approvers.person(name, role, agent_id, where, scope=scope)
        refuse_agents(found.name, {agent_id, *self.agent_names()} - {""}, where)
        return found

    def agent_names(self) -> frozenset[str]:
        """Return the names of all agents: with a workspace, a record or a place in the trail."""
        return frozenset({*self.home.agents(), *self.agents()})

    def policy(self, agent_id: str, scope: str | None = None) -> Policy:
        """Return the policy that governs an agent.

        Args:
            agent_id: The agent.
            scope: The part of its work that is meant; None: the policy as it is.

        Raises:
            InputError: The policy has no such scope.
        """
        found = policy_for(agent_id, self.policies)
        return found if scope is None else found.within(scope)

    def demanded(self, policy: Policy) -> tuple[Pack, ...]:
        """Return the rule packs a policy names.

        Raises:
            InputError: One of them does not exist.
        """
        missing = [name for name in policy.packs if name not in self.packs]
        if missing:
            raise InputError(
                f"policy {policy.name}: packs",
                f"{', '.join(missing)} not found",
                f"some of {', '.join(self.packs) or 'no packs at all'}",
            )
        return tuple(self.packs[name] for name in policy.packs)

    def digests(self, policy: Policy) -> tuple[str, ...]:
        """Return the present editions of the packs a policy names."""
        return tuple(pack.digest for pack in self.demanded(policy))

    def agent(self, agent_id: str, scope: str | None = None) -> Agent:
        """Return an agent as the audit trail has it.

        Args:
            agent_id: The agent.
            scope: The part of its work that is meant; None: the one its policy gives levels in.

        Raises:
            InputError: Its policy has no such scope.
        """
        name = self._holds_in(agent_id) if scope is None else self.scope_name(agent_id, scope)
        return agent_of(self.chain.events(), agent_id, name)

    def agents(self) -> dict[str, Agent]:
        """Return every agent that the trail or the ledger names, in its policy's own scope."""
        import polars as pl

        known = agents_of(self.chain.events(), self._holds_in)
        names = self.ledger.scan(Episode).select(pl.col("agent_id").unique().sort()).collect()
        found = {name: known.get(name) or self._new(name) for name in names["agent_id"]}
        return dict(sorted((known | found).items()))

    def scope_name(self, agent_id: str, scope: str | None) -> str:
        """Return a scope's name where an agent's policy has it; None: the one it gives levels in.

        Raises:
            InputError: It has not.
        """
        policy = self.policy(agent_id)
        if scope is None:
            return policy.holds_in
        policy.scope_of(scope)
        return scope

    def standings(self, agent_id: str) -> tuple[Agent, ...]:
        """Return an agent in each scope of its policy, and overall where it has a level there."""
        return self.standings_of([agent_id])[agent_id]

    def standings_of(self, agent_ids: Collection[str]) -> dict[str, tuple[Agent, ...]]:
        """Return the same of many agents, the trail read once."""
        own: dict[str, list[AuditEvent]] = {name: [] for name in agent_ids}
        for event in self.chain.events():
            if event.agent_id in own:
                own[event.agent_id].append(event)
        found = {}
        for agent_id, events in own.items():
            names = self.policy(agent_id).scope_names
            agents = [agent_of(events, agent_id, name) for name in names]
            if "" not in names:
                overall = agent_of(events, agent_id)
                agents += [overall] if overall.level is not Level.STUDENT else []
            found[agent_id] = tuple(agents)
        return found

    def agent_for(self, agent_id: str, subject: Subject, moment: datetime | None = None) -> Agent:
        """Return an agent in the scope of a piece of work: whose level holds for it.

        Where the work lies in several scopes that have a level of their own, the lowest holds;
        where in none, the level that holds everywhere. A level whose scope the policy has
        drawn wider since holds for what it was given for, and that alone. One that was taken stays
        taken there, whatever the policy calls or draws so by now, until another is given there.

        Args:
            agent_id: The agent.
            subject: What the work is about.
            moment: As it was then; None: now.
        """
        policy = self.policy(agent_id)
        events = [each for each in self.chain.events() if each.agent_id == agent_id]
        if moment is not None:
            events = [each for each in events if (each.effective_at or each.at) <= moment]
        overall = agent_of(events, agent_id)
        apart, taken = [], []
        for name in sorted({each.scope for each in events if each.scope}):
            agent = agent_of(events, agent_id, name)
            named = name in policy.scope_names and policy.scope_of(name).holds(subject)
            if agent.own_change is not None and named and agent.given_for(subject):
                apart.append(agent)
            elif agent.taken is not None and agent.taken.holds(subject):
                taken.append(agent)
        since = max((_at(each) for each in apart), default=0)
        apart += [each for each in taken if _at(each) > since]
        return min(apart, key=lambda each: each.level.rank, default=overall)

    def drawn(self, agent: Agent) -> dict[str, JsonValue]:
        """Return the scope of a level as an event keeps it; nothing where it holds everywhere."""
        if not agent.scope:
            return {}
        rule = self.policy(agent.agent_id).scope_of(agent.scope)
        return {"scope": rule.model_dump(mode="json", exclude_defaults=True)}

    def _holds_in(self, agent_id: str) -> str:
        return self.policy(agent_id).holds_in

    def _new(self, agent_id: str) -> Agent:
        return Agent(agent_id=agent_id, scope=self._holds_in(agent_id))

    def by_policy(
        self, agent_ids: Iterable[str], *, at_once: int | None = None, scope: str | None = None
    ) -> Iterator[tuple[Policy, list[str]]]:
        """Yield agents with the policy they share.

        Args:
            agent_ids: The agents.
            at_once: The most that are yielded together.
            scope: The part of their work that is meant; None: the policy as it is.

        Raises:
            InputError: One of the policies has no such scope.
        """
        policies: dict[str, Policy] = {}
        names: defaultdict[str, list[str]] = defaultdict(list)
        for agent_id in agent_ids:
            policy = self.policy(agent_id)
            policies[policy.name] = policy
            names[policy.name].append(agent_id)
        for name, every in names.items():
            size = at_once or len(every)
            for start in range(0, len(every), size):
                policy = policies[name]
                yield policy if scope is None else policy.within(scope), every[start : start + size]

    def target_of(
        self, agent_id: str, target: str | Level | None, scope: str | None = None
    ) -> Level:
        """Return the level asked about, the next one up when none is named.

        Raises:
            InputError: There is no such level, or none above the agent's; or no such id.
        """
        agent_name(agent_id)
        if target is not None:
            found = Level.parse(target)
            if found is Level.STUDENT:
                raise InputError("target_maturity", "is STUDENT", "a level one can be promoted to")
            return found
        agent = self.agent(agent_id, scope)
        if agent.level.above is None:
            asked = f"{agent.label} is AUTONOMOUS"
            raise InputError("target_maturity", asked, "a level to ask about")
        return agent.level.above

    def readiness(
        self, agent_id: str, target: Level, *, scope: Scope | str | None = None
    ) -> Readiness:
        """Return how ready an agent is, by its own policy.

        Args:
            agent_id: The agent.
            target: The level asked about.
            scope: A scope of its policy by name, or other episodes than the policy's.
        """
        policy = self.policy(agent_id)
        if isinstance(scope, str):
            policy = policy.within(scope)
        elif scope is not None:
            here = {"scope": scope, "level_scope": policy.holds_in}
            policy = policy.model_copy(update=here)
        return self.readiness_of([agent_id], policy, target)[agent_id]

    def readiness_of(
        self, agent_ids: Collection[str], policy: Policy, target: Level
    ) -> dict[str, Readiness]:
        """Return how ready agents are by one policy; read from the ledger in one pass."""
        from grindstone.graduation.evidence import measure

        scope = policy.holds_in
        agents = agents_of(self.chain.events(), lambda _: scope)
        new = {name: Agent(agent_id=name, scope=scope) for name in agent_ids}
        chosen = {name: agents.get(name) or new[name] for name in agent_ids}
        levels = {name: measure.Since(agent.level, agent.since) for name, agent in chosen.items()}
        tables, step = measure.Tables.of(self.ledger), policy.step_to(target)
        digests = self.digests(policy)
        frame = measure.measure(
            tables, policy, levels, latest=step.considered, digests=digests, agents=agent_ids
        )
        records = measure.records(frame)
        groups = {}
        if step.groups:
            counted = measure.in_scope(
                measure.facts(tables, digests=digests, agents=agent_ids), policy, levels
            )
            scopes = {group.name: group.scope for group in step.groups}
            needed = step.groups_min_episodes or step.min_episodes
            groups = measure.group_records(counted, scopes, needed)
        return {
            name: assess(
                records.get(name) or Record(agent_id=name),
                policy,
                current=agent.level,
                target=target,
                groups={
                    group: by_agent[name] for group, by_agent in groups.items() if name in by_agent
                },
            )
            for name, agent in chosen.items()
        }

    def episode(self, episode_id: str) -> Episode:
        """Return a scored episode.

        Raises:
            InputError: The ledger has none of that id.
        """
        found = rows_of(self.ledger, Episode, None, [episode_id])
        scored = [row for row in found if row.outcome is not Outcome.ERROR]
        if not scored:
            raise InputError(f"episode {episode_id}", "is not in the ledger", "a scored episode")
        return scored[0]

    def episodes(self, episode_ids: Iterable[str]) -> Sequence[Episode]:
        """Return the scored episodes among those named, in the order they started."""
        found = rows_of(self.ledger, Episode, None, list(episode_ids))
        scored = [row for row in found if row.outcome is not Outcome.ERROR]
        return sorted(scored, key=lambda row: (row.started_at, row.episode_id))


def _at(agent: Agent) -> int:
    """Return the number of the event that gave or took an agent's level in its scope."""
    return agent.own_change.sequence if agent.own_change is not None else 0


def open_desk(
    home: Home | Path | str | Ledger,
    *,
    policies: Sequence[Policy] | Path | None = None,
    constitution: Mapping[str, Pack] | Path | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Registry:
    """Return a home's registry.

    Args:
        home: The home folder, or its ledger.
        policies: Policies, or a folder of them. None: the home's folder `policies`, or the
            bundled ones where it has none.
        constitution: Rule packs by name, or a folder of them. None: the home's folder
            `constitution`, or the bundled ones.
        clock: The present time.

    Raises:
        InputError: A policy or rule pack cannot be used, or one names a pack that there is not.
        InfrastructureError: The storage of a remote home did not answer.
    """
    ledger = home if isinstance(home, Ledger) else Ledger(home)
    bring_rules(ledger.home)
    rules = policies if policies is not None else _own(ledger.home.policies)
    packs = constitution if constitution is not None else _own(ledger.home.constitution)
    found = Registry(
        home=ledger.home,
        ledger=ledger,
        chain=Chain(ledger.home),
        policies=load_policies(rules) if rules is None or isinstance(rules, Path) else tuple(rules),
        packs=load_packs(packs) if packs is None or isinstance(packs, Path) else dict(packs),
        clock=clock,
    )
    load_approvers(ledger.home.approvers)  # refused here, before any work is done
    for policy in found.policies if isinstance(rules, Path) else ():
        found.demanded(policy)
    return found


def _own(folder: Path) -> Path | None:
    empty = folder.is_dir() and not any(folder.glob("*.y*ml"))
    return folder if folder.exists() and not empty else None
