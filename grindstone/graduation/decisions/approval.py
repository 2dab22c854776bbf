"""Whether people have approved a promotion: who, how many, and who may not."""

from collections.abc import Sequence
from typing import NamedTuple

from grindstone.errors import InputError
from grindstone.graduation.audit.event import GENESIS, AuditEvent, EventKind
from grindstone.graduation.audit.standing import Agent, agent_of
from grindstone.graduation.evidence.requirements import Criterion, Requirement
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import (
    answer_message,
    check_signature,
    distinct,
    folded,
    same_person,
)
from grindstone.graduation.rules.policy import Policy
from grindstone.ledger.tables.autonomy import InterventionRow, RatingRow
from grindstone.records import Episode


class Approving(NamedTuple):
    """Who approves, and why others do not count."""

    counted: tuple[str, ...]
    refused: tuple[str, ...]  # one sentence each
    passed_over: bool = False  # whether who asks for the promotion is among those


def approving(
    registry: Registry, agent: Agent, policy: Policy, target: Level, validated_by: str
) -> Approving:
    """Return who approves a level.

    Args:
        registry: The home's approvers, and who worked on the agent's record.
        agent: The agent as the trail has it, with the answers given since its last change.
        policy: Says by which way an approval comes.
        target: The level.
        validated_by: Who asks for the promotion; approves by that where the policy says `named`.
    """
    answers: list[str] = []
    named: list[str] = []
    refused: list[str] = []
    passed_over = False
    for event in agent.approvals:
        if event.to_level is target and (
            policy.approval == "named" or event.evidence.get("channel") == "ui"
        ):
            try:
                answers.append(_still_given(registry, agent, event))
            except InputError as error:
                refused.append(str(error))
    if policy.approval == "named" and folded(validated_by) not in ("", "grindstone"):
        try:
            person = registry.person(
                validated_by, "approve", agent.agent_id, "validated_by", scope=agent.scope
            )
        except InputError as error:
            refused.append(str(error))
            passed_over = True
        else:
            if not person.public_key:
                named.append(person.name)
            elif person.name not in answers:
                refused.append(f"{person.name} has a key, and has not signed an answer")
    every = distinct([*answers, *named])
    if not (policy.separate_duties and every):
        return Approving(every, tuple(refused), passed_over)
    busy = worked_on(registry, agent.agent_id)
    refused += [
        f"{name} {busy[folded(name)]} the agent's work, and may not approve it as well"
        for name in every
        if folded(name) in busy
    ]
    free = tuple(each for each in every if folded(each) not in busy)
    return Approving(free, tuple(refused), passed_over)


def _still_given(registry: Registry, agent: Agent, event: AuditEvent) -> str:
    """Return who gave an answer, where that person may give it now, with the key of now.

    Raises:
        InputError: The person may not, or has not signed it with that key.
    """
    person = registry.person(event.by, "approve", agent.agent_id, scope=agent.scope)
    if person.public_key:
        before = [each for each in registry.chain.events() if each.sequence < event.sequence]
        since = since_digest(agent_of(before, agent.agent_id, agent.scope), event.by)
        message = answer_message(
            agent.agent_id,
            event.to_level.value if event.to_level else "",
            approved=True,
            by=event.by,
            since=since,
            scope=agent.scope,
        )
        check_signature(person, message, str(event.evidence.get("signature") or ""))
    return event.by


def worked_on(registry: Registry, agent_id: str) -> dict[str, str]:
    """Return who corrected, rated or imported an agent's work, and what they did."""
    import polars as pl

    found: dict[str, str] = {}
    for event in registry.chain.events():
        if event.kind is EventKind.IMPORTED:
            run_key = str(event.evidence.get("run_key") or "")
            own = pl.col("agent_id") == agent_id
            if not registry.ledger.scan(Episode, run_key).filter(own).head(1).collect().is_empty():
                found[folded(event.by)] = "imported"
    for row, column, did in (
        (RatingRow, "rated_by", "rated"),
        (InterventionRow, "corrected_by", "corrected"),
    ):
        names = (
            registry.ledger.scan(row)
            .filter(pl.col("agent_id") == agent_id)
            .select(pl.col(column).unique())
            .collect()
        )
        found |= {folded(name): did for name in names[column] if name}
    return found


def approval_met(
    registry: Registry, agent: Agent, policy: Policy, target: Level, validated_by: str
) -> Sequence[Requirement]:
    """Return what a promotion needs of people, met or not."""
    if policy.approval == "none":
        return _refusal(registry, agent, policy, target)
    found = approving(registry, agent, policy, target, validated_by)
    needed = policy.approvers_needed.get(target, 1)
    met = len(found.counted) >= needed and not found.passed_over
    asked = "no named human validates it"
    if policy.approval == "ui":
        asked = f"no human has approved {target.value} in the Prefect UI"
    if needed > 1:
        asked = f"{needed} people must approve {target.value}; {len(found.counted)} did"
    return (
        Requirement(
            name=Criterion.APPROVAL.value,
            required=("a named human" if policy.approval == "named" else "approval in the UI")
            if needed == 1
            else f"{needed} people",
            observed=", ".join(found.counted) or "nobody",
            met=met,
            gap="" if met else "; ".join([asked, *found.refused]),
        ),
        *_refusal(registry, agent, policy, target),
    )


def refuse_channel(policy: Policy, channel: str) -> None:
    """Refuse an approval that a policy would not count.

    Raises:
        InputError: It asks nobody, or in the UI alone.
    """
    if policy.approval == "none":
        raise InputError("approval", f"policy {policy.name} asks nobody", "no answer")
    if policy.approval == "ui" and channel != "ui":
        raise InputError(
            "channel",
            f"is {channel}; policy {policy.name} counts approvals given in the UI alone",
            "a run of graduate/graduate with `ask`, answered under Resume",
        )


def named_in_form(registry: Registry, agent_id: str, name: str, scope: str = "") -> str:
    """Return the name of a person who may answer for an agent, in a scope, in a form.

    Raises:
        InputError: Nobody is named, or the person may not, or only with a signature.
    """
    person = registry.person(name, "approve", agent_id, "name", scope=scope)
    if person.public_key:
        raise InputError(
            "name", f"{person.name} has a key", "an answer by `grindstone audit answer`"
        )
    return person.name


def since_digest(agent: Agent, by: str) -> str:
    """Return the digest of the event that a person's answer is bound to.

    That is the latest of the agent's last change of level, its last refusal, and the last answer
    of the same person: no signed answer, which the trail shows to everybody, serves once more.
    """
    own = [
        each for each in agent.answers if each.kind is EventKind.REFUSED or same_person(each.by, by)
    ]
    last = max((*agent.changes[-1:], *own[-1:]), key=lambda each: each.sequence, default=None)
    return last.digest if last else GENESIS


def _refusal(
    registry: Registry, agent: Agent, policy: Policy, target: Level
) -> tuple[Requirement, ...]:
    """Return the refusal that stands in the way; it stands until there is new evidence."""
    from grindstone.graduation.evidence import measure

    refusals = [event for event in agent.refusals if event.to_level is target]
    if not refusals:
        return ()
    import polars as pl

    last = refusals[-1]
    scored = measure.scored(registry.ledger.scan(Episode), agents=[agent.agent_id])
    newer = (
        measure.of_record(scored, policy)
        .filter(policy.scope.expression() & (pl.col("started_at") > last.at))
        .select(pl.len())
        .collect()
        .item()
    )
    met = newer >= policy.refusal_episodes
    why = f" ({last.reason})" if last.reason else ""
    return (
        Requirement(
            name=Criterion.REFUSAL.value,
            required=f"{policy.refusal_episodes} episodes since a refusal",
            observed=str(newer),
            met=met,
            gap=""
            if met
            else f"{last.by} refused it in event {last.sequence}{why}; that stands until there "
            f"are {policy.refusal_episodes} newer episodes ({newer} so far)",
        ),
    )
