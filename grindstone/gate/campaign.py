"""What a whole campaign of gates is worth: simulated before it is paid for.

One gate is exact; a campaign asks many of them about the same tasks, and what wins is in part
what was lucky. Here campaigns run on agents whose true pass rates are known, with the very rules
and tests of a real run, so that what they announce can be held against the truth.
"""

from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveInt

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.gate.exposure import offer
from grindstone.gate.rules import CannotTell, Rule, RuleName, decide, near_edge, rule_of
from grindstone.gate.signflip import sign_flip_p

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rates = NDArray[np.float64]

POPULATION = 200
"""Tasks of the same kind that no gate sees, over which the truth is taken."""


class Effect(NamedTuple):
    """What a change does, and how often changes are like it."""

    points: float  # to the mean pass rate, in points of 100
    share: float  # of all changes, in [0, 1]


def parse_effects(text: str) -> tuple[Effect, ...]:
    """Read `+6:.25,0:.5,-6:.25`: points and the share of changes that have them.

    Raises:
        InputError: It is not of that form, or the shares do not make 1.
    """
    expected = "points:share, separated by commas, shares making 1: +6:.25,0:.5,-6:.25"
    try:
        pairs = [part.split(":") for part in text.split(",")]
        found = tuple(Effect(float(points), float(share)) for points, share in pairs)
    except ValueError:
        raise InputError("--effects", f"is {text!r}", expected) from None
    if any(not -100 <= e.points <= 100 or not 0 <= e.share <= 1 for e in found) or not (
        abs(sum(e.share for e in found) - 1) < 1e-6
    ):
        raise InputError("--effects", f"is {text!r}", expected)
    return found


class Campaign(Frozen):
    """A plan: how many held-out tasks, how they are used, and which changes are to be expected."""

    tasks: PositiveInt = Field(40, description="All held-out tasks: searched and sealed.")
    sealed: NonNegativeInt = Field(20, description="How many of them the release alone may see.")
    trials: PositiveInt = Field(3, description="Attempts per task, state and gate.")
    changes: PositiveInt = Field(20, description="Gates of one campaign.")
    effects: tuple[Effect, ...] = Field(
        (Effect(6, 0.25), Effect(0, 0.5), Effect(-6, 0.25)), description="What changes do."
    )
    touched: float = Field(
        1.0, gt=0.0, le=1.0, description="Share of tasks a change touches, by more the fewer."
    )
    rule: RuleName = Field("higher", description="By which a change is kept.")
    alpha: float = Field(
        0.05, gt=0.0, lt=0.5, description="Level of rule and anchor, and of all releases."
    )
    threshold: float = Field(
        0.0, ge=0.0, le=1.0, description="A candidate's mean below it is never kept."
    )
    anchor: bool = Field(True, description="Drop what is shown worse than the campaign's start.")
    second_looks: NonNegativeInt = Field(
        4, description="Candidates near the edge that are tried as often again, under `higher`."
    )


class CampaignOdds(Frozen):
    """What campaigns of a plan come to; gains in points of 100, shares in [0, 1]."""

    true_gain: float = Field(description="Mean true change of the pass rate, all tasks alike.")
    search_gain: float = Field(description="Mean sum of the gains seen as changes were kept.")
    released_gain: float | None = Field(
        description="Mean change the release measures on sealed tasks; None where none are sealed."
    )
    claims: float = Field(description="Share of campaigns whose release announces a gain.")
    false_claims: float = Field(description="Share that announce one where there is none.")
    right_claims: float = Field(description="Share that announce one where there is one.")
    ends_worse: float = Field(description="Share whose agent is truly worse at the end.")
    attempts: float = Field(description="Mean attempts of a campaign, release included.")
    campaigns: PositiveInt

    def told(self, cost_usd: float | None = None) -> str:
        """Return the figures in sentences, with the price of a campaign where it is known."""
        lines = [
            f"Over {self.campaigns} campaigns, on average:",
            f"- true gain {self.true_gain:+.1f} points; {self.ends_worse:.0%} end worse than they"
            " began",
            f"- seen while searching {self.search_gain:+.1f} points, which is no claim",
        ]
        if self.released_gain is None:
            lines.append("- no task is sealed, so nothing can be claimed")
        else:
            lines.append(
                f"- measured by the release {self.released_gain:+.1f} points; {self.claims:.0%}"
                f" announce a gain, {self.false_claims:.1%} of all falsely"
            )
        price = "" if cost_usd is None else f", ${cost_usd:,.2f}"
        lines.append(f"- {self.attempts:,.0f} attempts a campaign{price}")
        return "\n".join(lines)


def simulate_campaigns(plan: Campaign, *, campaigns: int = 2000, seed: int = 1) -> CampaignOdds:
    """Run campaigns on agents whose truth is known.

    Pass rates are uniform over tasks and trials independent. A change moves the rate of each
    task it touches by its effect over `touched`, within [0, 1]. The best state is measured anew
    after each acceptance under `higher`; under the other rules the accepted candidate's own
    attempts are the next baseline, as where a run re-uses them.

    Args:
        plan: The campaign.
        campaigns: How many to run.
        seed: Of all draws; the same seed gives the same figures.

    Raises:
        InputError: No task is left to search on.
    """
    if plan.sealed >= plan.tasks:
        raise InputError("sealed", f"is {plan.sealed}", f"fewer than tasks, which is {plan.tasks}")
    import numpy as np

    draw = np.random.default_rng(seed)
    start = draw.uniform(size=(campaigns, plan.tasks + POPULATION))
    search = _search(draw, start, plan)
    best, attempts = search.best, search.attempts
    truth = 100 * (best[:, plan.tasks :].mean(axis=1) - start[:, plan.tasks :].mean(axis=1))
    released, claimed = np.zeros(campaigns), np.zeros(campaigns, dtype=bool)
    if plan.sealed:
        sealed = slice(plan.tasks - plan.sealed, plan.tasks)
        change = draw.binomial(plan.trials, best[:, sealed]) - draw.binomial(
            plan.trials, start[:, sealed]
        )
        attempts += 2 * plan.sealed * plan.trials
        released = _points(change, plan.trials)
        claimed = _p_values(change).better <= _release_level(plan)
    unchanged = (best == start).all(axis=1)
    better = (truth > 0) & ~unchanged
    return CampaignOdds(
        true_gain=float(truth.mean()),
        search_gain=float(search.seen_gain.mean()),
        released_gain=float(released.mean()) if plan.sealed else None,
        claims=float(claimed.mean()),
        false_claims=float((claimed & ~better).mean()),
        right_claims=float((claimed & better).mean()),
        ends_worse=float((truth < 0).mean()),
        attempts=float(attempts.mean()),
        campaigns=campaigns,
    )


class _Search(NamedTuple):
    """What the campaigns came to before anything is claimed."""

    best: "Rates"
    seen_gain: "Rates"  # points, summed over what was kept
    attempts: "Rates"


def _search(draw: "np.random.Generator", start: "Rates", plan: Campaign) -> _Search:
    """Propose changes to every campaign's best state, and keep what its gate accepts."""
    import numpy as np

    campaigns, searched = len(start), plan.tasks - plan.sealed
    best = start.copy()
    measure = _Measure(draw, searched, plan.trials)
    origin = baseline = measure(best)
    attempts = np.full(campaigns, searched * plan.trials, dtype=float)
    seen_gain = np.zeros(campaigns)
    rule = rule_of(plan.rule, alpha=plan.alpha, threshold=plan.threshold)
    searching = plan.rule == "higher"
    looks_left = np.full(campaigns, plan.second_looks if searching else 0)
    more_of_best = np.full_like(baseline, -1)  # of a second look at the best's; -1: none yet
    for _ in range(plan.changes):
        candidate = _changed(draw, best, plan)
        passed = measure(candidate)
        attempts += searched * plan.trials
        kept, again = _kept(rule, baseline, passed, plan, looks_left)
        shown = _points(passed - baseline, plan.trials)
        if again.any():
            looks_left -= again
            unseen = again & (more_of_best[:, 0] < 0)
            more_of_best = np.where(unseen[:, None], measure(best), more_of_best)
            attempts += searched * plan.trials * (again.astype(int) + unseen)
            both = _points(passed + measure(candidate) - baseline - more_of_best, 2 * plan.trials)
            kept, shown = np.where(again, both > 0, kept), np.where(again, both, shown)
        if plan.anchor:
            kept &= ~_worse(origin, passed, plan.alpha)
        seen_gain += np.where(kept, shown, 0.0)
        best = np.where(kept[:, None], candidate, best)
        anew = measure(best) if searching else passed
        attempts += np.where(kept & searching, searched * plan.trials, 0)
        baseline = np.where(kept[:, None], anew, baseline)
        more_of_best = np.where(kept[:, None], -1, more_of_best)
    return _Search(best, seen_gain, attempts)


def _release_level(plan: Campaign) -> float:
    """Return the level of a campaign's release: the first look's share of all that are to come."""
    return offer((), (), alpha=plan.alpha, n_clusters=plan.sealed).level


class _Measure:
    """Attempts of the searched tasks: passed trials, campaigns x tasks."""

    def __init__(self, draw: "np.random.Generator", searched: int, trials: int) -> None:
        self._draw, self._searched, self._trials = draw, searched, trials

    def __call__(self, rates: "Rates") -> "NDArray[np.int64]":
        return self._draw.binomial(self._trials, rates[:, : self._searched])


def _changed(draw: "np.random.Generator", rates: "Rates", plan: Campaign) -> "Rates":
    import numpy as np

    points = np.array([effect.points for effect in plan.effects]) / 100
    shares = np.array([effect.share for effect in plan.effects])
    chosen = draw.choice(points, size=(len(rates), 1), p=shares / shares.sum())
    touched = draw.uniform(size=rates.shape) < plan.touched
    return np.asarray(np.clip(rates + np.where(touched, chosen / plan.touched, 0.0), 0.0, 1.0))


class _Seen(NamedTuple):
    """One campaign's gate, as a rule reads it."""

    n_tasks: int
    n_clusters: int
    wins: int
    losses: int
    ties: int
    candidate_mean: float | None
    difference: float | None
    p_worse: float
    p_better: float


class _P(NamedTuple):
    worse: "Rates"
    better: "Rates"


def _p_values(change: "NDArray[np.int64]") -> _P:
    worse, better = sign_flip_p(change)
    return _P(worse, better)


def _points(change: "NDArray[np.int64]", trials: int) -> "Rates":
    import numpy as np

    return np.asarray(100.0 * change.mean(axis=1) / trials)


def _worse(
    origin: "NDArray[np.int64]", passed: "NDArray[np.int64]", alpha: float
) -> "NDArray[np.bool_]":
    import numpy as np

    return np.asarray(_p_values(passed - origin).worse <= alpha)


def _kept(
    rule: Rule,
    baseline: "NDArray[np.int64]",
    passed: "NDArray[np.int64]",
    plan: Campaign,
    looks_left: "NDArray[np.int64]",
) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """Put every campaign's gate to the rule itself, so that no second copy of it decides.

    Returns:
        Whose candidate is kept, and whose is to be looked at again.
    """
    import numpy as np

    change = passed - baseline
    p_values = _p_values(change)
    means = passed.mean(axis=1) / plan.trials
    differences = change.mean(axis=1) / plan.trials
    n_tasks = change.shape[1]
    kept, again = np.empty(len(change), dtype=bool), np.zeros(len(change), dtype=bool)
    for row in range(len(change)):
        seen = _Seen(
            n_tasks=n_tasks,
            n_clusters=n_tasks,
            wins=int((change[row] > 0).sum()),
            losses=int((change[row] < 0).sum()),
            ties=int((change[row] == 0).sum()),
            candidate_mean=float(means[row]),
            difference=float(differences[row]),
            p_worse=float(p_values.worse[row]),
            p_better=float(p_values.better[row]),
        )
        kept[row] = decide(rule, seen, CannotTell.UNLESS_LOWER).accepted
        again[row] = looks_left[row] > 0 and near_edge(seen)
    return kept, again
