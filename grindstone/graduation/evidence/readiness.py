"""Is an agent ready for its next level? Six components, hard criteria, and what is missing.

The score orders agents and tells where to work; it opens nothing by itself. What opens is
every hard criterion, the score's floor among them. A component nobody measured is reported
as unknown and counts as zero.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import Field

from grindstone.base import Frozen
from grindstone.gate.exact import at_most
from grindstone.graduation.evidence.record import Recent, Record
from grindstone.graduation.evidence.requirements import (
    Requirement,
    criteria_met,
    floor_met,
    groups_met,
)
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import Policy

WEIGHTS: MappingProxyType[str, float] = MappingProxyType(
    {
        "zero_intervention": 30.0,
        "constitutional": 25.0,
        "confidence": 15.0,
        "success": 10.0,
        "supervision": 10.0,
        "skill_diversity": 10.0,
    }
)
"""Points of each component out of 100 (the guide's six-component formula)."""

NAMES: MappingProxyType[str, str] = MappingProxyType(
    {
        "zero_intervention": "zero intervention ratio",
        "constitutional": "average constitutional score",
        "confidence": "average confidence",
        "success": "success rate",
        "supervision": "supervision success rate",
        "skill_diversity": "skill diversity",
    }
)


class Component(Frozen):
    """One part of the score, with what it rests on."""

    name: str
    raw: float | None = Field(description="In [0, 1], unrounded; None: unknown.")
    weight: float = Field(description="Points out of 100.")
    weighted: float = Field(description="Points reached; unknown counts as 0.")
    evidence: str


class Readiness(Frozen):
    """The whole answer."""

    agent_id: str
    current: Level
    target: Level
    policy: str
    scope: str = Field("", description="The part of the work; empty: all of it.")
    ready: bool
    score: float = Field(description="0 to 100, unrounded.")
    components: tuple[Component, ...]
    requirements: tuple[Requirement, ...]
    weakest: str = Field(description="The component with most points to gain.")
    recommendation: str
    intervention_rate: float = Field(description="Observed, of the latest episodes.")
    intervention_rate_upper: float = Field(description="Exact upper bound at 95%.")
    interventions_per_episode: float
    record: Record
    rehearsal_note: str = Field("", description="How much of the record is rehearsed, if any is.")

    @property
    def gaps(self) -> tuple[str, ...]:
        """What is missing, one sentence each."""
        return tuple(item.gap for item in self.requirements if not item.met)


class ReadinessPart(NamedTuple):
    """A component before it is weighted."""

    raw: float | None
    evidence: str


def parts_of(record: Record, policy: Policy) -> dict[str, ReadinessPart]:
    """Return the six components of a record, unrounded."""
    n, rated = record.episodes, record.rated
    share = _share(record.zero_interventions, n)
    return {
        "zero_intervention": ReadinessPart(
            share, f"{record.zero_interventions} of {n} episodes went uncorrected"
        ),
        "constitutional": ReadinessPart(
            record.constitutional_score, f"mean of {record.checked} checked of {n} episodes"
        ),
        "confidence": ReadinessPart(
            record.confidence, f"mean of {record.confident} of {n} episodes that state one"
        ),
        "success": ReadinessPart(
            _share(record.succeeded, n), f"{record.succeeded} of {n} succeeded"
        ),
        "supervision": ReadinessPart(
            _share(record.rated_well, rated),
            f"{record.rated_well} of {rated} rated episodes got four stars or more",
        ),
        "skill_diversity": ReadinessPart(
            min(record.skills / policy.diversity_divisor, 1.0),
            f"{record.skills} different skills used of {policy.diversity_divisor}",
        ),
    }


def components_of(raw: Mapping[str, ReadinessPart]) -> tuple[Component, ...]:
    """Return the components weighted; the score is the sum of their `weighted`."""
    return tuple(
        Component(
            name=name,
            raw=raw[name].raw,
            weight=weight,
            weighted=(raw[name].raw or 0.0) * weight,
            evidence=raw[name].evidence,
        )
        for name, weight in WEIGHTS.items()
    )


def readiness_score(
    *,
    zero_intervention: float,
    constitutional: float,
    confidence: float,
    success: float,
    supervision: float,
    skill_diversity: float,
) -> float:
    """Return the readiness score, 0 to 100, of six ratios in [0, 1]."""
    given = {
        "zero_intervention": zero_intervention,
        "constitutional": constitutional,
        "confidence": confidence,
        "success": success,
        "supervision": supervision,
        "skill_diversity": skill_diversity,
    }
    parts = components_of({name: ReadinessPart(ratio, "") for name, ratio in given.items()})
    return sum(part.weighted for part in parts)


def assess(
    record: Record,
    policy: Policy,
    *,
    current: Level,
    target: Level,
    groups: Mapping[str, Recent] | None = None,
) -> Readiness:
    """Weigh a record against what a policy asks for a level.

    Args:
        record: The agent's episodes in scope.
        policy: The rules.
        current: The agent's level.
        target: The level asked about.
        groups: The latest episodes of each group the step names.
    """
    step = policy.step_to(target)
    components = components_of(parts_of(record, policy))
    score = sum(item.weighted for item in components)
    requirements = (
        *criteria_met(record.recent, step, episodes=record.episodes),
        floor_met(score, step),
        *groups_met(step, groups or {}),
    )
    recent, rate = record.recent, record.recent.intervention_rate
    weakest = max(components, key=lambda item: item.weight - item.weighted)
    ready = all(item.met for item in requirements)
    note = rehearsal_note(record.rehearsals, record.episodes, policy)
    recommendation = _recommend(ready, target, requirements, weakest, record, policy)
    return Readiness(
        agent_id=record.agent_id,
        current=current,
        target=target,
        policy=policy.name,
        scope=policy.holds_in,
        ready=ready,
        score=score,
        components=components,
        requirements=requirements,
        weakest=weakest.name,
        recommendation=f"{recommendation} {note}".strip(),
        rehearsal_note=note,
        intervention_rate=rate,
        intervention_rate_upper=at_most(recent.intervened, recent.episodes),
        interventions_per_episode=recent.interventions / recent.episodes
        if recent.episodes
        else 0.0,
        record=record,
    )


def rehearsal_note(rehearsals: int, episodes: int, policy: Policy) -> str:
    """Return what is to be said of rehearsals in a record; empty when there are none.

    Args:
        rehearsals: How many there are.
        episodes: All that count.
        policy: Says whether rehearsals are among those.
    """
    if not rehearsals:
        return ""
    total = episodes if policy.rehearsals else episodes + rehearsals
    count = "They count, as the policy says" if policy.rehearsals else "They do not count"
    return (
        f"{rehearsals} of {total} episodes are rehearsals, played by the offline stand-in or by a "
        f"task's own solution. {count}."
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _recommend(
    ready: bool,
    target: Level,
    requirements: tuple[Requirement, ...],
    weakest: Component,
    record: Record,
    policy: Policy,
) -> str:
    if ready:
        bound = at_most(record.recent.intervened, record.recent.episodes)
        return (
            f"Ready for {target.value}. {record.recent.intervened} of the latest "
            f"{record.recent.episodes} episodes were corrected; the true rate may still be "
            f"up to {bound:.1%} (95%)."
        )
    gaps = [item.gap for item in requirements if not item.met]
    return (
        f"Not ready for {target.value}: {'; '.join(gaps)}. Most is to be gained in the "
        f"{NAMES[weakest.name]} ({weakest.weighted:.1f} of {weakest.weight:g} points): "
        f"{_closing(weakest, record, policy)}"
    )


def _closing(weakest: Component, record: Record, policy: Policy) -> str:
    """Return what would raise the weakest component."""
    n = record.episodes
    corrected = n - record.zero_interventions
    advice = {
        "zero_intervention": f"{corrected} corrected episodes weigh on it; each clean one after "
        "them lifts the ratio.",
        "constitutional": "look at the violations listed per episode and train on those rules."
        if record.checked
        else "have the episodes checked against the policy's rule packs.",
        "confidence": "the agent states it with too little confidence; calibrate it."
        if record.confident
        else "no episode states the agent's confidence; record it with each.",
        "success": f"{n - record.succeeded} episodes failed; grind on their tasks.",
        "supervision": f"{record.rated - record.rated_well} rated episodes got fewer than four "
        "stars."
        if record.rated
        else "nobody has rated an episode yet; have people rate supervised work.",
        "skill_diversity": f"{max(0, policy.diversity_divisor - record.skills)} more different "
        "skills would fill it.",
    }
    return advice[weakest.name]
