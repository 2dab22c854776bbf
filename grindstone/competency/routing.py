"""A routing decision: which member, how carefully, with which model."""

from math import sqrt
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, Field, JsonValue, NonNegativeInt

from grindstone.base import Frozen
from grindstone.competency.domains import UNKNOWN, DomainGuess
from grindstone.competency.tracker import CompetencyTracker
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.ledger.tables.autonomy import RoutingRow
from grindstone.records import utc_now

Policy = Literal["proceed", "review", "escalate"]
ModelTier = Literal["standard", "strong"]
HAIR = 1e-9
"""Rounding must not decide: 3.6 of 9 is a ratio of 0.4."""


class MemberProfile(NamedTuple):
    """Someone who can be asked.

    `agent` is called with the task (or its `run` or `arun` is), or is the id of an agent with
    a workspace, whose attempts the route flow makes. `name` is the agent's own unless given.
    """

    agent: Any
    tracker: CompetencyTracker
    name: str = ""

    @property
    def agent_id(self) -> str:
        """The workspace's agent; empty for any other."""
        return self.agent if isinstance(self.agent, str) else ""


class Trusted(NamedTuple):
    """How far a member may go alone with a task."""

    level: str
    scope: str  # the part of the work that level holds in; empty: everywhere
    alone: bool  # whether the level is enough without a person's review


class RoutingRules(Frozen):
    """From which share of the base on a member is trusted."""

    escalate_below: float = Field(0.3, ge=0.0, le=1.0, description="Competency over base.")
    review_below: float = Field(0.6, ge=0.0, le=1.0, description="Competency over base.")
    strong_from: float = Field(0.4, ge=0.0, le=1.0, description="Deficit over base.")
    exploration: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Share of the base a member without evidence is given ahead; with n "
        "outcomes it is divided by the root of 1 + n. 0: none.",
    )
    allow_escalated: bool = Field(False, description="Run escalated tasks all the same.")

    def policy(self, ratio: float) -> Policy:
        """Return how carefully a member with this share of the base is let work."""
        if ratio < self.escalate_below - HAIR:
            return "escalate"
        return "review" if ratio < self.review_below - HAIR else "proceed"


class Candidate(Frozen):
    """A member as it stood when the decision was made."""

    member_name: str
    competency: float
    evidence: NonNegativeInt = Field(0, description="Outcomes so far in the domain.")
    standing: float = Field(0.0, description="Competency with what exploration adds.")


class RoutingDecision(Frozen):
    """Where a task went, and why. `success` and `note` are filled in afterwards."""

    decision_id: str
    task: str
    domain: str = Field(description="'unknown' when no method was sure.")
    domain_method: str = Field(description="tag, keyword, classifier or none.")
    domain_confidence: float
    member_name: str
    competency: float = Field(description="Of the member; over all domains when unknown.")
    deficit: float
    policy: Policy
    model_tier: ModelTier
    explored: bool = Field(False, description="Chosen to learn more, above a more competent one.")
    candidates: tuple[Candidate, ...] = Field((), description="All members, the best first.")
    why: str = ""
    level: str = Field(
        "", description="The member's level in the task's scope; empty: nobody asked."
    )
    scope: str = Field("", description="The scope that level holds in; empty: everywhere.")
    success: bool | None = Field(None, description="None: nothing was run or evaluated.")
    note: str = ""
    at: AwareDatetime

    def with_level(self, held: Trusted) -> "RoutingDecision":
        """Return the decision with its member's level, reviewed where that is too low."""
        found = self.model_copy(update={"level": held.level, "scope": held.scope})
        if held.alone or self.policy != "proceed":
            return found
        where = f" in {held.scope}" if held.scope else ""
        why = f"{self.why}; {held.level}{where} is too low a level to go on alone"
        return found.model_copy(update={"policy": "review", "why": why})

    @property
    def known_domain(self) -> bool:
        """Whether a domain was found."""
        return self.domain_method != "none"

    def row(self) -> RoutingRow:
        """Return the ledger's row."""
        candidates: dict[str, JsonValue] = {
            each.member_name: each.model_dump(mode="json", exclude={"member_name"})
            for each in self.candidates
        }
        same = set(RoutingRow.model_fields) & set(RoutingDecision.model_fields) - {"candidates"}
        return RoutingRow(
            **{name: getattr(self, name) for name in same},
            candidates=candidates,
        )


def decide(
    task: str, guess: DomainGuess, members: list[Candidate], rules: RoutingRules, *, base: float
) -> RoutingDecision:
    """Return the decision: the best standing wins, then more evidence, then the order given.

    A task of unknown domain goes to who does best over all domains, and is reviewed at least.
    """
    if not members:
        raise InputError("members", "there is none", "at least one")
    standing = [
        each.model_copy(
            update={
                "standing": each.competency + rules.exploration * base / sqrt(1 + each.evidence)
            }
        )
        for each in members
    ]
    ranked = sorted(standing, key=lambda each: (-each.standing, -each.evidence))
    chosen = ranked[0]
    best = max(each.competency for each in members)
    ratio, deficit = chosen.competency / base, base - chosen.competency
    policy = rules.policy(ratio)
    if guess.domain is None and policy == "proceed":
        policy = "review"
    why = f"{chosen.member_name} has {chosen.competency:.2f} of {base:g}" + (
        f" in {guess.domain}" if guess.domain else " over all domains; the task's is unknown"
    )
    at = utc_now()
    return RoutingDecision(
        decision_id=digest([task, chosen.member_name, guess.domain, at.isoformat()])[:32],
        task=task,
        domain=guess.domain or UNKNOWN,
        domain_method=guess.method,
        domain_confidence=guess.confidence,
        member_name=chosen.member_name,
        competency=chosen.competency,
        deficit=deficit,
        policy=policy,
        model_tier="strong" if deficit / base >= rules.strong_from - HAIR else "standard",
        explored=chosen.competency < best - HAIR,
        candidates=tuple(ranked),
        why=why,
        at=at,
    )
