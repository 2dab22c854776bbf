"""Competency out of the ledger: pass rates, shrunken towards a prior, with their intervals.

Per agent and domain, k of n scored attempts passed. With a prior of strength m at rate p,
the rate's posterior is Beta(p m + k, (1 - p) m + n - k); a_i is `base` times its mean, and
the interval holds its central 95%. Three passes of three are therefore no mastery yet.

With a half-life, an attempt weighs half as much for every half-life of age, and n and k are
sums of weights: evidence that grows old counts as less evidence, so the estimate returns
to the prior and its interval widens.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal

import polars as pl
from pydantic import NonNegativeFloat, NonNegativeInt

from grindstone.base import Frozen
from grindstone.competency.checking import check_base, folded, number
from grindstone.records import Arm, Outcome, Purpose, utc_now
from grindstone.settings import Profile

SECONDS_PER_DAY = 86_400.0
TAIL = 0.025

Grouping = Literal["category", "tags"]


class Estimate(Frozen):
    """An agent's competency in one domain, as the ledger shows it."""

    agent_id: str
    snapshot: str = ""
    domain: str
    n_episodes: NonNegativeInt = 0
    n_passed: NonNegativeInt = 0
    weight: NonNegativeFloat = 0.0  # n after ageing
    score: float | None = None  # None: no evidence
    low: float | None = None
    high: float | None = None
    enough: bool = False

    @property
    def note(self) -> str:
        """What a reader should know of the evidence; empty when there is enough."""
        if self.enough:
            return ""
        if not self.n_episodes:
            return "no attempts yet"
        return f"only {self.n_episodes} attempt{'s' * (self.n_episodes != 1)}"


def measure(
    episodes: pl.LazyFrame,
    *,
    base: float = 10.0,
    by: Grouping = "category",
    per_snapshot: bool = False,
    prior_rate: float = 0.5,
    prior_strength: float = 2.0,
    half_life_days: float | None = None,
    as_of: datetime | None = None,
    min_episodes: int = 5,
    leave_out: Collection[Purpose] = (),
) -> pl.DataFrame:
    """Return competency per agent and domain.

    Infrastructure errors, control arms and the oracle's and the nop's attempts take no part.

    Args:
        episodes: `Ledger.scan("episodes")`, or any part of it.
        base: The scale's upper end.
        by: What a domain is: a task's category, or each of its tags.
        per_snapshot: Also apart by the workspace's content (`snapshot`, a git tree id).
        prior_rate: The pass rate assumed before any evidence.
        prior_strength: How many attempts that assumption weighs; above 0.
        half_life_days: None: all attempts weigh the same.
        as_of: When ages are counted from; now, as a rule. Later attempts weigh as at that time.
        min_episodes: With fewer, `enough` is false.
        leave_out: Purposes whose attempts do not count.

    Returns:
        Rows sorted by agent and domain: agent_id, [snapshot,] domain, n_episodes, n_passed,
        weight, score, low, high, enough.
    """
    check_base(base)
    number("prior_rate", prior_rate, low=0.0, high=1.0)
    number("prior_strength", prior_strength, low=1e-3, high=1e6)
    key = ["agent_id", *(["snapshot"] if per_snapshot else []), "domain"]
    weight = _weight(half_life_days, as_of or utc_now())
    passed = pl.col("outcome") == Outcome.PASSED.value
    wanted = [pl.col("agent_id"), pl.col(by).alias("domain")]
    if per_snapshot:
        wanted.append(pl.col("workspace_tree").fill_null("").alias("snapshot"))
    frame = episodes.filter(_counts(leave_out)).select(
        *wanted, passed.alias("passed"), weight.alias("weight")
    )
    if by == "tags":
        frame = frame.explode("domain").filter(pl.col("domain").is_not_null())
    sums = frame.group_by(key).agg(
        pl.len().cast(pl.Int64).alias("n_episodes"),
        pl.col("passed").sum().cast(pl.Int64).alias("n_passed"),
        pl.col("weight").sum(),
        pl.col("weight").filter("passed").sum().alias("passed_weight"),
    )
    found = sums.collect(engine="streaming")
    alpha = prior_rate * prior_strength + pl.col("passed_weight")
    beta = (1.0 - prior_rate) * prior_strength + pl.col("weight") - pl.col("passed_weight")
    return (
        found.with_columns(alpha.alias("alpha"), beta.alias("beta"))
        .with_columns(
            (base * pl.col("alpha") / (pl.col("alpha") + pl.col("beta"))).alias("score"),
            (pl.col("n_episodes") >= min_episodes).alias("enough"),
        )
        .with_columns(*_interval_of(found, alpha, beta, base))
        .select(*key, "n_episodes", "n_passed", "weight", "score", "low", "high", "enough")
        .sort(key)
    )


def estimates(
    measured: pl.DataFrame, agent_id: str, domains: Iterable[str] = ()
) -> dict[str, Estimate]:
    """Return one agent's estimates by domain; domains without evidence have no score.

    Args:
        measured: What `measure` returned, not per snapshot.
        agent_id: Whose.
        domains: Those to be there in any case, and first. Where they are given, a domain
            counts as one of them when its name differs in case or spaces only.
    """
    rows = measured.filter(pl.col("agent_id") == agent_id).to_dicts()
    known = {folded(name): name for name in domains}
    found = {name: Estimate(agent_id=agent_id, domain=name) for name in known.values()}
    for row in rows:
        name = known.get(folded(row["domain"]), row["domain"])
        found[name] = Estimate.model_validate(row | {"domain": name})
    return found


def _counts(leave_out: Collection[Purpose]) -> pl.Expr:
    no_evidence = {
        "arm": [arm.value for arm in Arm if not arm.up_to_date],
        "profile": [profile.value for profile in Profile if not profile.aided],
        "purpose": [
            purpose.value
            for purpose in Purpose
            if purpose in leave_out or not purpose.shows_competency
        ],
    }
    counts = pl.col("outcome") != Outcome.ERROR.value
    for column, values in no_evidence.items():
        counts &= ~pl.col(column).fill_null("").is_in(values)
    return counts


def _weight(half_life_days: float | None, as_of: datetime) -> pl.Expr:
    if half_life_days is None:
        return pl.lit(1.0)
    days = number("half_life_days", half_life_days, low=1e-6, high=1e6)
    seconds = (pl.lit(as_of) - pl.col("ended_at")).dt.total_seconds().clip(lower_bound=0)
    return pl.lit(0.5).pow(seconds / (days * SECONDS_PER_DAY))


def _interval_of(
    sums: pl.DataFrame, alpha: pl.Expr, beta: pl.Expr, base: float
) -> tuple[pl.Series, pl.Series]:
    from scipy.special import betaincinv

    a, b = (sums.select(each.alias("it"))["it"].to_numpy() for each in (alpha, beta))
    return (
        pl.Series("low", base * betaincinv(a, b, TAIL), pl.Float64),
        pl.Series("high", base * betaincinv(a, b, 1.0 - TAIL), pl.Float64),
    )
