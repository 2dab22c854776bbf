"""Competency out of the ledger: pass rates, shrunken towards a prior, with their intervals.

Per agent and domain, k of n scored attempts passed. With a prior of strength m at rate p,
the rate's posterior is Beta(p m + k, (1 - p) m + n - k); a_i is `base` times its mean, and
the interval holds its central 95%. Three passes of three are therefore no mastery yet.

With a half-life, an attempt weighs half as much for every half-life of age, and n and k are
sums of weights: evidence that grows old counts as less evidence, so the estimate returns
to the prior and its interval widens.

With a lineage the agent that is measured is the one that exists: an attempt of an earlier state
of its workspace weighs half for every step since, of a state that was taken back nothing, and of
another model than its latest half.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Literal

import polars as pl
from pydantic import NonNegativeFloat, NonNegativeInt

from grindstone.base import Frozen
from grindstone.competency.checking import check_base, folded, number
from grindstone.joined import joined
from grindstone.ledger.store import Ledger
from grindstone.records import Arm, Outcome, Purpose, utc_now
from grindstone.settings import Profile

SECONDS_PER_DAY = 86_400.0
TAIL = 0.025

EVER = datetime(1970, 1, 1, tzinfo=UTC)
DECAY = 0.5
"""What is left of an attempt's weight by each step of the workspace, or by another model."""

_MARKS = ("task_id", "task_digest")

_KIN = pl.concat_list(
    "fingerprint", pl.col("twins").fill_null(pl.lit([], dtype=pl.List(pl.String)))
).alias("kin")
"""What a task and its copies in other words share."""

COLUMNS = (
    *("n_episodes", "n_passed", "weight", "score", "low", "high", "enough"),
    *("strength", "clean", "open_tasks", "clean_unseen", "mean_cost_usd"),
)

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
    strength: NonNegativeFloat = 0.0  # the weight with the prior's
    clean: NonNegativeInt = 0  # attempts since the last one that failed
    open_tasks: NonNegativeInt = 0  # tasks whose last attempt failed
    clean_unseen: NonNegativeInt = 0  # of those, the ones at tasks it never trained on
    mean_cost_usd: float | None = None  # of an attempt; None: a price is unknown

    def exhausted(self, clean: int) -> bool:
        """Whether no task is left to learn from: each passed last, and so did `clean` in a row."""
        return not self.open_tasks and self.clean >= clean

    def mastered(self, clean: int) -> bool:
        """Whether `clean` attempts at tasks it never trained on passed in a row as well."""
        return self.exhausted(clean) and self.clean_unseen >= clean

    def unseen_missing(self, clean: int) -> int:
        """Return how many passes at tasks never trained on are missing where all else is there."""
        return max(0, clean - self.clean_unseen) if self.exhausted(clean) else 0

    def passes_missing(self, ratio: float, base: float) -> int:
        """Return how many passes in a row would show a share of the base; 0 where it is shown."""
        if self.score is None or ratio >= 1.0:
            return 0
        have = self.score / base * self.strength
        return max(0, ceil((ratio * self.strength - have) / (1.0 - ratio) - 1e-9))

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
    lineages: Mapping[str, Sequence[str]] | None = None,
    parts: pl.LazyFrame | None = None,
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
        lineages: By agent the states of its workspace that stand, the present one first. An agent
            that is not there is measured by all its attempts.
        parts: `Ledger.scan("task_parts")`, by which copies of a task in other words are known.

    Returns:
        Rows sorted by agent and domain: agent_id, [snapshot,] domain, n_episodes, n_passed,
        weight, score, low, high, enough, strength, clean, open_tasks, clean_unseen,
        mean_cost_usd. Names that differ in case, spaces or composition only are one domain.
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
    counted = _of_lineage(episodes, leave_out, lineages or {})
    known = practised(episodes, parts)
    for mark in _MARKS:
        seen = known.select(
            "agent_id", pl.col("mark").alias(mark), pl.lit(True).alias(f"by_{mark}")
        )
        counted = counted.join(seen, on=["agent_id", mark], how="left")
    frame = counted.select(
        *wanted,
        passed.alias("passed"),
        (pl.col("by_task_id").is_null() & pl.col("by_task_digest").is_null()).alias("unseen"),
        (weight * pl.col("standing")).alias("weight"),
        *("task_id", "ended_at", "cost_usd"),
    )
    if by == "tags":
        frame = frame.explode("domain").filter(pl.col("domain").is_not_null())
    frame = frame.with_columns(pl.col("task_id").replace(_copies_by_id(counted, parts)))
    last = pl.col("ended_at") == pl.col("ended_at").max().over([*key, "task_id"])
    frame = _one_spelling(frame).with_columns((last & ~pl.col("passed")).alias("open"))
    last_failure = pl.col("ended_at").filter(~pl.col("passed")).max().fill_null(EVER)
    since_failure = pl.col("ended_at") > last_failure
    sums = frame.group_by(key).agg(
        pl.len().cast(pl.Int64).alias("n_episodes"),
        pl.col("passed").sum().cast(pl.Int64).alias("n_passed"),
        pl.col("weight").sum(),
        pl.col("weight").filter("passed").sum().alias("passed_weight"),
        pl.col("cost_usd").mean().alias("mean_cost_usd"),
        since_failure.sum().cast(pl.Int64).alias("clean"),
        (since_failure & pl.col("unseen")).sum().cast(pl.Int64).alias("clean_unseen"),
        pl.col("task_id").filter("open").n_unique().cast(pl.Int64).alias("open_tasks"),
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
        .with_columns((pl.col("alpha") + pl.col("beta")).alias("strength"))
        .select(*key, *COLUMNS)
        .sort(key)
    )


def practised(episodes: pl.LazyFrame, parts: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """Return which tasks agents learned from: agent_id, and `mark`, a task's id or its digest.

    By its digest a copy is known under another name, by its id a task that was changed since, and
    by what runs noted of their tasks (`parts`) a copy whose words or files differ.
    """
    learning = [purpose.value for purpose in Purpose if purpose.practises]
    made = episodes.filter(pl.col("purpose").is_in(learning))
    marks = [made.select("agent_id", pl.col(mark).alias("mark")) for mark in _MARKS]
    if parts is not None:
        marks.append(_copies(made.select("agent_id", "task_digest").unique(), parts))
    return pl.concat(marks).filter(pl.col("mark") != "").unique()


def _copies_by_id(episodes: pl.LazyFrame, parts: pl.LazyFrame | None) -> dict[str, str]:
    """Return, by the id of a copy, the id that stands for it: one task under two ids is one."""
    named = episodes.select("task_id", pl.col("task_digest").fill_null("")).unique().collect()
    marks: defaultdict[str, set[str]] = defaultdict(set)
    for task_id, mark in named.sort("task_id").iter_rows():
        marks[task_id] |= {mark} - {""}
    if parts is not None:
        here = parts.filter(pl.col("task_digest").is_in(named["task_digest"].implode()))
        of_digest: defaultdict[str, set[str]] = defaultdict(set)
        for mark, kin in here.select("task_digest", _KIN).unique().collect().iter_rows():
            of_digest[mark] |= set(kin or ()) - {"", None}
        for own in marks.values():
            own.update(*(of_digest[mark] for mark in list(own) if mark in of_digest))
    units = joined(marks)
    return {copy: unit[0] for unit in units for copy in unit[1:]}


def _copies(practised: pl.LazyFrame, parts: pl.LazyFrame) -> pl.LazyFrame:
    """Return the digests of tasks that are practised ones in other words, or other files."""
    known = (
        parts.select("task_digest", _KIN)
        .explode("kin")
        .filter(pl.col("kin").fill_null("") != "")
        .unique()
    )
    kin = practised.join(known, on="task_digest").select("agent_id", "kin").unique()
    return kin.join(known, on="kin").select("agent_id", pl.col("task_digest").alias("mark"))


def practised_by(ledger: Ledger, agent_id: str) -> frozenset[str]:
    """Return the ids and the digests of the tasks that an agent learned from."""
    seen = practised(ledger.scan("episodes"), ledger.scan("task_parts"))
    return frozenset(seen.filter(pl.col("agent_id") == agent_id).collect()["mark"])


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


def _of_lineage(
    episodes: pl.LazyFrame, leave_out: Collection[Purpose], lineages: Mapping[str, Sequence[str]]
) -> pl.LazyFrame:
    """Return the attempts that tell of the agents as they are, with the weight they have by that.

    Adds the column `standing`. A baseline is the agent as it was, which its state tells of; where
    that is not known a baseline does not count, and what was tried against it does.
    """
    states = pl.LazyFrame(
        [
            {"agent_id": agent, "workspace_tree": tree, "standing": DECAY**step}
            for agent, trees in lineages.items()
            for step, tree in enumerate(trees)
        ],
        schema={"agent_id": pl.String, "workspace_tree": pl.String, "standing": pl.Float64},
    )
    placed = pl.col("agent_id").is_in(list(lineages)) & (
        pl.col("workspace_tree").fill_null("") != ""
    )
    up_to_date = ~pl.col("arm").fill_null("").is_in([each.value for each in Arm if each.lacks])
    shown = _counts(leave_out) & pl.when(placed).then(up_to_date).otherwise(_arm_counts())
    counted = (
        episodes.filter(shown)
        .join(states, on=["agent_id", "workspace_tree"], how="left")
        .with_columns(
            pl.when(placed).then(pl.col("standing").fill_null(0.0)).otherwise(1.0).alias("standing")
        )
        .filter(pl.col("standing") > 0.0)
    )
    if not lineages:
        return counted
    model = pl.col("model").fill_null("")
    latest = model.sort_by("ended_at").last().over("agent_id")
    same = (model == latest) | (model == "") | ~pl.col("agent_id").is_in(list(lineages))
    return counted.with_columns(pl.col("standing") * pl.when(same).then(1.0).otherwise(DECAY))


def _one_spelling(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give domains whose names differ in case, spaces or composition only one of their names."""
    names = frame.select(pl.col("domain").unique()).collect()["domain"].drop_nulls().sort()
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(folded(name), name)
    other = {name: first[folded(name)] for name in names if first[folded(name)] != name}
    return frame.with_columns(pl.col("domain").replace(other)) if other else frame


def _arm_counts() -> pl.Expr:
    return ~pl.col("arm").fill_null("").is_in([arm.value for arm in Arm if not arm.up_to_date])


def _counts(leave_out: Collection[Purpose]) -> pl.Expr:
    no_evidence = {
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
