"""The hard criteria of a promotion, and how a record stands against each."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from pydantic import Field

from grindstone.base import Frozen
from grindstone.graduation.evidence.record import Recent
from grindstone.graduation.rules.policy import Criteria, PromotionStep

ROUNDING = 1e-9
"""What a mean of floats may fall short of a bound that it equals: 0.85 and 1.0 in turn."""


class Criterion(StrEnum):
    """What a promotion asks for."""

    ONE_LEVEL_UP = "one_level_up"
    EPISODES = "episodes"
    INTERVENTION_RATE = "intervention_rate"
    CONSTITUTIONAL_SCORE = "constitutional_score"
    CHECKED = "checked"
    CRITICAL_BREACHES = "critical_breaches"
    SUCCESS_RATE = "success_rate"
    SCORE = "score"
    EXAM = "exam"
    APPROVAL = "approval"
    REFUSAL = "refusal"


class Requirement(Frozen):
    """One hard criterion and how the agent stands against it."""

    name: str
    required: str
    observed: str
    met: bool
    gap: str = Field("", description="What is missing, in a sentence; empty when met.")

    @property
    def criterion(self) -> Criterion:
        """What is asked; of a group of episodes where the name begins with one."""
        return Criterion(self.name.rpartition(": ")[2])


def only_missing(requirements: Iterable[Requirement], *criteria: Criterion) -> bool:
    """Return whether all requirements are met but for some of these criteria, or all are."""
    return all(item.met or item.criterion in criteria for item in requirements)


def criteria_met(
    recent: Recent, criteria: Criteria, *, episodes: int, prefix: str = ""
) -> tuple[Requirement, ...]:
    """Return how the latest episodes stand against the hard criteria but the score's floor.

    Args:
        recent: The latest episodes in scope.
        criteria: What is asked.
        episodes: All episodes in scope.
        prefix: Put before each name, where a group is meant.
    """
    rate, mean = recent.intervention_rate, recent.constitutional_score
    allowed, lowest = criteria.max_intervention_rate, criteria.min_constitutional_score
    unchecked = recent.episodes - recent.checked
    return (
        _requirement(
            f"{prefix}{Criterion.EPISODES}",
            f"at least {criteria.min_episodes}",
            str(episodes),
            met=episodes >= criteria.min_episodes,
            gap=f"{criteria.min_episodes - episodes} more completed episodes are needed "
            f"({episodes} of {criteria.min_episodes})",
        ),
        _requirement(
            f"{prefix}{Criterion.INTERVENTION_RATE}",
            f"at most {allowed:.0%}",
            f"{rate:.1%} ({recent.intervened} of {recent.episodes})",
            met=recent.episodes > 0 and rate <= allowed,
            gap=f"{recent.intervened} of the latest {recent.episodes} episodes were corrected "
            f"({rate:.1%}, at most {allowed:.0%})"
            if recent.episodes
            else "there is no episode to take an intervention rate of",
        ),
        _requirement(
            f"{prefix}{Criterion.CONSTITUTIONAL_SCORE}",
            f"at least {lowest:.2f}",
            "unknown" if mean is None else f"{mean:.3f}",
            met=mean is not None and mean >= lowest - ROUNDING,
            gap="no episode has been checked against the constitution"
            if mean is None
            else f"the mean constitutional score is {mean:.3f} (at least {lowest:.2f})",
        ),
        _requirement(
            f"{prefix}{Criterion.CHECKED}",
            "every latest episode",
            f"{recent.checked} of {recent.episodes}",
            met=unchecked == 0,
            gap=f"{unchecked} of the latest {recent.episodes} episodes could not be checked "
            "against the constitution",
        ),
        _requirement(
            f"{prefix}{Criterion.CRITICAL_BREACHES}",
            f"at most {criteria.max_critical_breaches}",
            str(recent.critical),
            met=recent.critical <= criteria.max_critical_breaches,
            gap=f"{recent.critical} of the latest {recent.episodes} episodes breached a "
            "critical rule",
        ),
        *_success_met(recent, criteria, prefix),
    )


def _success_met(recent: Recent, criteria: Criteria, prefix: str) -> tuple[Requirement, ...]:
    if not criteria.min_success_rate:
        return ()
    rate, lowest = recent.success_rate, criteria.min_success_rate
    return (
        _requirement(
            f"{prefix}{Criterion.SUCCESS_RATE.value}",
            f"at least {lowest:.0%}",
            f"{rate:.1%} ({recent.succeeded} of {recent.episodes})",
            met=recent.episodes > 0 and rate >= lowest - ROUNDING,
            gap=f"{recent.succeeded} of the latest {recent.episodes} episodes succeeded "
            f"({rate:.1%}, at least {lowest:.0%})",
        ),
    )


def groups_met(step: PromotionStep, groups: Mapping[str, Recent]) -> tuple[Requirement, ...]:
    """Return how the latest episodes of each group that a step names stand against it."""
    found: list[Requirement] = []
    needed = step.groups_min_episodes or step.min_episodes
    criteria = step.model_copy(update={"min_episodes": needed})
    for group in step.groups:
        recent = groups.get(group.name, Recent())
        met = criteria_met(recent, criteria, episodes=recent.episodes, prefix=f"{group.name}: ")
        found += [
            item.model_copy(update={"gap": f"{group.name}: {item.gap}" if item.gap else ""})
            for item in met
        ]
    return tuple(found)


def floor_met(score: float, step: PromotionStep) -> Requirement:
    """Return how a readiness score, 0 to 100, stands against the step's floor."""
    return _requirement(
        Criterion.SCORE.value,
        f"at least {step.min_score:g}",
        f"{score:.1f}",
        met=score >= step.min_score - ROUNDING,
        gap=f"the readiness score is {score:.1f} (at least {step.min_score:g})",
    )


def _requirement(name: str, required: str, observed: str, *, met: bool, gap: str) -> Requirement:
    return Requirement(
        name=name, required=required, observed=observed, met=met, gap="" if met else gap
    )
