"""When a change may stay: four rules, and what follows when the evidence says nothing.

A rule reads a comparison and answers accept, reject or cannot_tell. "Cannot tell" means
that no result of so few tasks could have convinced it; a policy then decides, and the
decision says so.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import ceil, log2
from typing import Literal, Protocol

from pydantic import Field

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.gate.paired import Pair, compare_paired
from grindstone.text import count

Verdict = Literal["accept", "reject", "cannot_tell"]


class CannotTell(StrEnum):
    """What follows when a rule cannot tell."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNLESS_LOWER = "accept_unless_lower"  # accept, unless the mean fell


class RuleVerdict(Frozen):
    """A rule's answer."""

    verdict: Verdict
    reason: str


class GateDecision(Frozen):
    """What is done about a change."""

    verdict: Verdict
    accepted: bool
    reason: str


class Evidence(Protocol):
    """What a rule reads of a comparison; see `PairedComparison`."""

    @property
    def n_tasks(self) -> int: ...  # noqa: D102 - as there
    @property
    def n_clusters(self) -> int: ...  # noqa: D102
    @property
    def wins(self) -> int: ...  # noqa: D102
    @property
    def losses(self) -> int: ...  # noqa: D102
    @property
    def ties(self) -> int: ...  # noqa: D102
    @property
    def candidate_mean(self) -> float | None: ...  # noqa: D102
    @property
    def difference(self) -> float | None: ...  # noqa: D102
    @property
    def p_worse(self) -> float: ...  # noqa: D102
    @property
    def p_better(self) -> float: ...  # noqa: D102


class Rule(Protocol):
    """Decides on a comparison alone."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def direction(self) -> Literal["drop", "rise", "search", "none"]:
        """The change it tests for; search: it takes the better one, and tests nothing."""
        ...

    def judge(self, seen: Evidence) -> RuleVerdict:
        """Return its answer."""
        ...


class Threshold(Frozen):
    """The documents' rule: the candidate's mean is at least the threshold; no baseline.

    A threshold of 0 would accept anything, so there is none to fall back on.
    """

    name: Literal["threshold"] = "threshold"
    direction: Literal["none"] = "none"
    threshold: float = Field(gt=0.0, le=1.0)

    def judge(self, seen: Evidence) -> RuleVerdict:
        """Return accept or reject; cannot_tell only without a single score."""
        return _floor(seen, self.threshold) or RuleVerdict(
            verdict="accept",
            reason=f"the mean {seen.candidate_mean:.2f} is at least {self.threshold:.2f}",
        )


class NoRegression(Frozen):
    """Reject a change that is shown to be worse; under no change at most alpha are rejected.

    Where the baseline itself lies near the threshold, the threshold rejects more.
    """

    name: Literal["no_regression"] = "no_regression"
    direction: Literal["drop"] = "drop"
    alpha: float = Field(0.05, gt=0.0, lt=0.5)
    threshold: float = Field(0.0, ge=0.0, le=1.0)

    def judge(self, seen: Evidence) -> RuleVerdict:
        """Return reject when worse at alpha or below the threshold, else accept."""
        if (low := _floor(seen, self.threshold)) is not None:
            return low
        if seen.p_worse <= self.alpha:
            return RuleVerdict(verdict="reject", reason=f"worse: {_shown(seen, seen.p_worse)}")
        return _too_few(seen, self.alpha) or RuleVerdict(
            verdict="accept", reason=f"not shown to be worse: {_shown(seen, seen.p_worse)}"
        )


class Improvement(Frozen):
    """Accept only a change shown to be better; under no change at most alpha are accepted."""

    name: Literal["improvement"] = "improvement"
    direction: Literal["rise"] = "rise"
    alpha: float = Field(0.05, gt=0.0, lt=0.5)
    threshold: float = Field(0.0, ge=0.0, le=1.0)

    def judge(self, seen: Evidence) -> RuleVerdict:
        """Return accept when better at alpha and not below the threshold, else reject."""
        if (low := _floor(seen, self.threshold)) is not None:
            return low
        if seen.p_better <= self.alpha:
            return RuleVerdict(verdict="accept", reason=f"better: {_shown(seen, seen.p_better)}")
        return _too_few(seen, self.alpha) or RuleVerdict(
            verdict="reject", reason=f"not shown to be better: {_shown(seen, seen.p_better)}"
        )


class Higher(Frozen):
    """Accept what scored higher: a rule to search by, which proves nothing.

    It learns fastest, since it asks no evidence of a single change, and its gains are flattered
    by their own selection: what they are worth is for tasks to say that took no part.
    """

    name: Literal["higher"] = "higher"
    direction: Literal["search"] = "search"
    threshold: float = Field(0.0, ge=0.0, le=1.0)

    def judge(self, seen: Evidence) -> RuleVerdict:
        """Return accept when the mean is strictly above the baseline's, else reject.

        It cannot tell where both are full: nothing could have scored higher there, so what was
        seen is that the change did no harm.
        """
        if seen.candidate_mean is None or seen.difference is None:
            return _nothing()
        if (low := _floor(seen, self.threshold)) is not None:
            return low
        higher = seen.difference > 0
        if not higher and seen.candidate_mean >= 1.0 and not seen.losses:
            tasks = count(seen.n_tasks, "task")
            reason = f"{tasks} passed before and after, and nothing could score higher there"
            return RuleVerdict(verdict="cannot_tell", reason=reason)
        change = f"{100 * seen.difference:+.0f} points over {_counted(seen)}"
        return RuleVerdict(
            verdict="accept" if higher else "reject",
            reason=f"{'higher' if higher else 'not higher'} while searching: {change}",
        )


def near_edge(seen: Evidence) -> bool:
    """Whether more trials could well turn round which of two states scored higher.

    So it is where the clusters that came out better and worse differ in number by less than a
    standard deviation of chance, the square root of their sum. Where none came out differently
    there is no edge: the change does nothing that shows.
    """
    return (seen.wins - seen.losses) ** 2 < seen.wins + seen.losses


RuleName = Literal["higher", "threshold", "no_regression", "improvement"]


def rule_of(name: RuleName, *, alpha: float = 0.05, threshold: float = 0.0) -> Rule:
    """Return a rule by its name.

    Raises:
        InputError: There is none of that name, or `threshold` is asked for without one.
    """
    if name == "higher":
        return Higher(threshold=threshold)
    if name == "threshold":
        if not threshold:
            raise InputError("gate rule", "is threshold with a threshold of 0", "one above 0")
        return Threshold(threshold=threshold)
    if name == "no_regression":
        return NoRegression(alpha=alpha, threshold=threshold)
    if name == "improvement":
        return Improvement(alpha=alpha, threshold=threshold)
    raise InputError("gate rule", f"is {name!r}", "higher, threshold, no_regression or improvement")


def decide(rule: Rule, seen: Evidence, policy: CannotTell) -> GateDecision:
    """Apply a rule, and the policy where it cannot tell."""
    judged = rule.judge(seen)
    if judged.verdict != "cannot_tell":
        accepted = judged.verdict == "accept"
        return GateDecision(verdict=judged.verdict, accepted=accepted, reason=judged.reason)
    if policy is CannotTell.UNLESS_LOWER:
        fell = seen.difference is not None and seen.difference < 0
        accepted = seen.difference is not None and not fell
        why = "the mean fell" if fell else "the mean did not fall" if accepted else "nothing seen"
    else:
        accepted, why = policy is CannotTell.ACCEPT, f"the policy is to {policy.value}"
    done = "accepted" if accepted else "rejected"
    reason = f"{judged.reason}; {done} by policy: {why}"
    return GateDecision(verdict="cannot_tell", accepted=accepted, reason=reason)


def settled(rule: Rule, done: Sequence[Pair], pending: Sequence[Pair]) -> bool:
    """Return whether a rule's answer is the same whatever the remaining pairs say.

    Stopping then is curtailment: the verdict is the one the full plan would have given, so
    its error rates are those of the full plan. All rules are monotone in each difference,
    hence the two extremes decide: every remaining pair as bad, or as good, as its score's
    range allows. A pair that goes missing lies between them, except that it takes evidence
    away; therefore the pairs at hand must be enough by themselves.

    Args:
        rule: The rule.
        done: Pairs that were tried, missing ones included.
        pending: Pairs still to come; a baseline that is known already narrows them.
    """
    if not pending:
        return True
    worst = [_with(pair, 1.0, 0.0) for pair in pending]
    best = [_with(pair, 0.0, 1.0) for pair in pending]
    answers = {
        rule.judge(compare_paired(pairs)).verdict
        for pairs in (done, [*done, *worst], [*done, *best])
    }
    return len(answers) == 1 and "cannot_tell" not in answers


def least_tasks(alpha: float) -> int:
    """Return how many clusters must differ, all one way, before a test at alpha says anything."""
    return ceil(-log2(alpha) - 1e-12)


def _with(pair: Pair, baseline: float, candidate: float) -> Pair:
    known = pair.baseline if pair.baseline is not None else baseline
    return pair.model_copy(update={"baseline": known, "candidate": candidate})


def _nothing() -> RuleVerdict:
    return RuleVerdict(verdict="cannot_tell", reason="no pair has a score on both sides")


def _floor(seen: Evidence, threshold: float) -> RuleVerdict | None:
    """Return the answer where the candidate's mean alone gives it: there is none, or it is low."""
    mean = seen.candidate_mean
    if mean is None:
        return _nothing()
    if mean >= threshold:
        return None
    return RuleVerdict(verdict="reject", reason=f"the mean {mean:.2f} is below {threshold:.2f}")


def _too_few(seen: Evidence, alpha: float) -> RuleVerdict | None:
    needed = least_tasks(alpha)
    n = seen.n_clusters
    if n >= needed:
        return None
    what = "task" if n == seen.n_tasks else "cluster"
    found = f"{count(n, what)} {'has' if n == 1 else 'have'} pairs"
    reason = f"{found}, and no result of fewer than {needed} is evidence at {alpha:.0%}"
    return RuleVerdict(verdict="cannot_tell", reason=reason)


def _shown(seen: Evidence, p_value: float) -> str:
    change = 0.0 if seen.difference is None else 100 * seen.difference
    return (
        f"{change:+.0f} points over {_counted(seen)} "
        f"({seen.wins} better, {seen.losses} worse, {seen.ties} same), p = {p_value:.3f}"
    )


def _counted(seen: Evidence) -> str:
    """Return how many tasks were seen, and in how many clusters where that is another number."""
    if seen.n_clusters == seen.n_tasks:
        return count(seen.n_tasks, "task")
    return f"{count(seen.n_tasks, 'task')} in {count(seen.n_clusters, 'cluster')}"
