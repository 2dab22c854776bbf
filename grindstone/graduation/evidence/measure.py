"""From the ledger's tables to one record per agent, lazily and in one pass.

Order of arrival plays no part: what counts as latest is decided by when an episode
started, and episodes that started at the same instant count together.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import polars as pl
import polars.selectors as cs

from grindstone.graduation.evidence.record import CRITICAL_SCORE, Recent, Record
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import UNAIDED, Policy
from grindstone.graduation.rules.scope import Scope
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.autonomy import ComplianceRow, InterventionRow, RatingRow
from grindstone.records import Episode, Outcome

KEY = ("run_key", "episode_id")


class Tables(NamedTuple):
    """The tables graduation reads."""

    episodes: pl.LazyFrame
    interventions: pl.LazyFrame
    compliance: pl.LazyFrame
    ratings: pl.LazyFrame
    skill_uses: pl.LazyFrame

    @classmethod
    def of(cls, ledger: Ledger) -> "Tables":
        """Scan a ledger."""
        return cls(
            ledger.scan(Episode),
            ledger.scan(InterventionRow),
            ledger.scan(ComplianceRow),
            ledger.scan(RatingRow),
            ledger.scan(SkillUseRow),
        )


class Since(NamedTuple):
    """An agent's level and since when it has it; None: from its beginning."""

    level: Level
    at: datetime | None = None


def facts(
    tables: Tables, *, digests: Collection[str] | None = None, agents: Collection[str] | None = None
) -> pl.LazyFrame:
    """Return one row per scored episode with what graduation needs to know of it.

    Columns: those of `scored`, and interventions, constitutional_score and rating.

    Args:
        tables: The ledger's.
        digests: The rule packs an episode must have been checked against, each in its present
            edition; None: any check will do. A breach found by any other pack counts too.
        agents: Only these; None for all.
    """
    return with_sides(scored(tables.episodes, agents=agents), sides(tables, digests=digests))


def scored(episodes: pl.LazyFrame, *, agents: Collection[str] | None = None) -> pl.LazyFrame:
    """Return the episodes that have a score, without what other tables say of them.

    Columns: run_key, episode_id, agent_id, purpose, rehearsal, started_at, ended_at, maturity,
    title, tags, topics, metadata, category, difficulty, task_digest, confidence, passed,
    stated_score, stated_interventions.
    """
    found = episodes.filter(pl.col("outcome") != Outcome.ERROR.value)
    if agents is not None:
        found = found.filter(pl.col("agent_id").is_in(list(agents)))
    return found.select(
        *KEY,
        *("agent_id", "purpose", "started_at", "ended_at", "maturity", "title", "tags", "topics"),
        *("metadata", "category", "difficulty", "task_digest", "confidence"),
        (pl.col("rehearsal").fill_null(False) | pl.col("profile").is_in(UNAIDED)).alias(
            "rehearsal"
        ),
        (pl.col("outcome") == Outcome.PASSED.value).alias("passed"),
        pl.col("constitutional_score").alias("stated_score"),
        pl.col("human_intervention_count").fill_null(0).alias("stated_interventions"),
    )


def sides(tables: Tables, *, digests: Collection[str] | None = None) -> pl.LazyFrame:
    """Return what checks, corrections and ratings say, one row per episode they speak of.

    They are brought together first, for one join with all episodes costs a third of three.
    """
    needed = list(digests or ())
    demanded = pl.col("pack_digest").is_in(needed) if needed else pl.lit(True)
    # Prepared row by row, so that the groups are formed by sums and minima alone.
    rows = [
        tables.compliance.select(
            *KEY,
            "score",
            demanded.cast(pl.UInt32).alias("demanded"),
            (demanded & pl.col("score").is_null()).cast(pl.UInt32).alias("undecided"),
        ),
        tables.interventions.select(*KEY, pl.lit(1, pl.UInt32).alias("edits")),
        tables.ratings.sort("at")
        .unique([*KEY, "rated_by"], keep="last")  # what a person said last
        .select(*KEY, "rating"),
    ]
    counts = ("demanded", "undecided", "edits")
    grouped = (
        pl.concat(rows, how="diagonal")
        .group_by(KEY)
        .agg(pl.col("score").min(), *(pl.col(name).sum() for name in counts), pl.mean("rating"))
    )
    # A check is one row per pack, so that counting them tells whether each was made.
    complete = pl.col("demanded") >= max(1, len(needed))
    return grouped.select(
        *KEY,
        "edits",
        "rating",
        # A critical breach stands whatever else could not be checked.
        pl.when(pl.col("score") <= CRITICAL_SCORE)
        .then(CRITICAL_SCORE)
        .when(complete & (pl.col("undecided") == 0))
        .then(pl.col("score"))
        .alias("checked_score"),
        (pl.col("demanded") > 0).alias("was_checked"),
    )


def with_sides(found: pl.LazyFrame, beside: pl.LazyFrame) -> pl.LazyFrame:
    """Add interventions, constitutional_score and rating to scored episodes."""
    stated, checked = pl.col("stated_score"), pl.col("was_checked").fill_null(False)
    return (
        found.join(beside, on=KEY, how="left")
        .with_columns(
            # Of what was checked here and what its recorder stated, the graver stands.
            pl.when((stated <= CRITICAL_SCORE).fill_null(False))
            .then(CRITICAL_SCORE)
            .when(pl.col("checked_score").is_not_null())
            .then(pl.min_horizontal(stated, "checked_score"))
            .when(checked)
            .then(None)
            .otherwise(stated)
            .alias("constitutional_score"),
            (pl.col("stated_interventions") + pl.col("edits").fill_null(0)).alias("interventions"),
        )
        .drop("checked_score", "was_checked", "edits", "stated_interventions", "stated_score")
    )


def of_record(found: pl.LazyFrame, policy: Policy) -> pl.LazyFrame:
    """Return the episodes of the kinds that a policy counts, whatever their subject."""
    kinds = pl.col("purpose").is_in([purpose.value for purpose in policy.purposes])
    return played_by_itself(found.filter(kinds), policy)


def played_by_itself(found: pl.LazyFrame, policy: Policy) -> pl.LazyFrame:
    """Return the episodes without rehearsals, where the policy does not count them."""
    return found if policy.rehearsals else found.filter(~pl.col("rehearsal"))


def in_scope(found: pl.LazyFrame, policy: Policy, levels: Mapping[str, Since]) -> pl.LazyFrame:
    """Return the episodes that a policy counts, each agent's since its last change of level.

    An agent that `levels` does not name is a STUDENT since its beginning.
    """
    if policy.window == "all":
        return of_record(found, policy).filter(policy.scope.expression())
    return _since(found, policy, levels, pl.lit(False))


def under_level(found: pl.LazyFrame, policy: Policy, levels: Mapping[str, Since]) -> pl.LazyFrame:
    """Return the episodes since each agent's last change of level, with those under way then.

    What began before a level was given and ended under it can cost that level.
    """
    under_way = (pl.col("started_at") < pl.col("since")) & (pl.col("ended_at") >= pl.col("since"))
    return _since(found, policy, levels, under_way.fill_null(False))


def _since(
    found: pl.LazyFrame, policy: Policy, levels: Mapping[str, Since], as_well: pl.Expr
) -> pl.LazyFrame:
    chosen = of_record(found, policy).filter(policy.scope.expression())
    rows = {
        "agent_id": list(levels),
        "level": [each.level.value for each in levels.values()],
        "since": [each.at for each in levels.values()],
    }
    known = pl.LazyFrame(
        rows,
        schema={"agent_id": pl.String, "level": pl.String, "since": pl.Datetime("us", "UTC")},
    )
    level = pl.col("level").fill_null(Level.STUDENT.value)
    return (
        chosen.join(known, on="agent_id", how="left")
        .filter(
            as_well
            | (pl.col("since").is_null() | (pl.col("started_at") >= pl.col("since")))
            & ((pl.col("maturity").fill_null("") == "") | (pl.col("maturity") == level))
        )
        .drop("level", "since")
    )


THIN = ("started_at", "interventions", "constitutional_score", "confidence", "passed", "rating")
"""What is summed; the rest decides only whether an episode counts."""


def recent_of(found: pl.LazyFrame, latest: int) -> pl.LazyFrame:
    """Return per agent what its latest episodes come to (the columns of `Recent`).

    Args:
        found: What `in_scope` left.
        latest: How many; episodes of one instant count together, so it may be more.
    """
    started = pl.col("started_at")
    cut = found.group_by("agent_id").agg(started.top_k(latest).min().alias("cut"))
    score, touched = pl.col("constitutional_score"), pl.col("interventions")
    return (
        found.join(cut, on="agent_id")
        .filter(started >= pl.col("cut"))
        .group_by("agent_id")
        .agg(
            pl.len().alias("episodes"),
            (touched > 0).sum().alias("intervened"),
            touched.sum().alias("interventions"),
            score.count().alias("checked"),
            score.mean().alias("constitutional_score"),
            (score <= CRITICAL_SCORE).sum().alias("critical"),
            pl.col("passed").sum().alias("succeeded"),
        )
    )


def totals_of(found: pl.LazyFrame, good_rating: float) -> pl.LazyFrame:
    """Return per agent the columns of `Record` but its skills and its latest episodes."""
    score, rating = pl.col("constitutional_score"), pl.col("rating")
    return found.group_by("agent_id").agg(
        pl.len().alias("episodes"),
        (pl.col("interventions") == 0).sum().alias("zero_interventions"),
        pl.col("interventions").sum(),
        score.count().alias("checked"),
        score.mean().alias("constitutional_score"),
        (score <= CRITICAL_SCORE).sum().alias("critical"),
        pl.col("confidence").count().alias("confident"),
        pl.col("confidence").mean().alias("mean_confidence"),
        pl.col("passed").sum().alias("succeeded"),
        rating.count().alias("rated"),
        (rating >= good_rating - 1e-9).sum().alias("rated_well"),
    )


def skills_of(counted: pl.LazyFrame, uses: pl.LazyFrame) -> pl.LazyFrame:
    """Return per agent how many different skills its counted episodes used."""
    used = uses.filter(pl.col("loaded") | pl.col("followed")).select(*KEY, "skill").unique()
    return (
        counted.select(*KEY, "agent_id")
        .join(used, on=KEY)
        .group_by("agent_id")
        .agg(pl.col("skill").n_unique().alias("skills"))
    )


def measure(
    tables: Tables,
    policy: Policy,
    levels: Mapping[str, Since],
    *,
    latest: int,
    digests: Collection[str] | None = None,
    agents: Collection[str] | None = None,
) -> pl.DataFrame:
    """Return one row per agent: the columns of `Record`, and of `Recent` as `recent_…`.

    Args:
        tables: The ledger's.
        policy: Says which episodes count.
        levels: Each agent's level and since when.
        latest: How many latest episodes the hard criteria look at.
        digests: As for `facts`.
        agents: Only these; None for all.
    """
    # Rehearsals are read even where they do not count: a report says how many there are.
    with_rehearsals = policy.model_copy(update={"rehearsals": True})
    every = in_scope(scored(tables.episodes, agents=agents), with_rehearsals, levels)
    found = with_sides(every, sides(tables, digests=digests))
    # Ten million rows of these columns are 0.6 GB; agents' names as numbers keep it there.
    columns = (pl.col("agent_id").cast(pl.Categorical), "rehearsal", *THIN)
    thin = found.select(*columns).collect(engine="streaming").lazy()
    played = thin.group_by("agent_id").agg(pl.col("rehearsal").sum().alias("rehearsals"))
    rows, counted = played_by_itself(thin, policy), played_by_itself(every, policy)
    recent = recent_of(rows, latest)
    prefixed = recent.rename({name: f"recent_{name}" for name in Recent.model_fields})
    known, totals, last, skills = pl.collect_all(
        [
            played,
            totals_of(rows, policy.good_rating),
            prefixed,
            skills_of(counted, tables.skill_uses),
        ],
        engine="streaming",
    )
    return (
        known.join(totals, on="agent_id", how="left")
        .rename({"mean_confidence": "confidence"})
        .join(last, on="agent_id", how="left")
        .with_columns(pl.col("agent_id").cast(pl.String))
        .join(skills, on="agent_id", how="left")
        .with_columns(cs.integer().fill_null(0))
        .sort("agent_id")
    )


def records(frame: pl.DataFrame) -> dict[str, Record]:
    """Return `measure`'s rows as models by agent."""
    return {row["agent_id"]: _record(row) for row in frame.iter_rows(named=True)}


def group_records(
    found: pl.LazyFrame, scopes: Mapping[str, Scope], latest: int
) -> dict[str, dict[str, Recent]]:
    """Return per group and agent what the group's latest episodes come to.

    Args:
        found: What `in_scope` and `with_sides` gave.
        scopes: The groups.
        latest: How many latest episodes of each.
    """
    return {
        name: {
            row.pop("agent_id"): Recent.model_validate(row)
            for row in recent_of(found.filter(scope.expression()).select("agent_id", *THIN), latest)
            .collect(engine="streaming")
            .iter_rows(named=True)
        }
        for name, scope in scopes.items()
    }


def _record(row: dict[str, object]) -> Record:
    own = {name: row[name] for name in Record.model_fields if name in row}
    recent = {name: row[f"recent_{name}"] for name in Recent.model_fields}
    return Record.model_validate(own | {"recent": Recent.model_validate(recent)})
