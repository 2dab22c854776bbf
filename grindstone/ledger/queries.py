"""Questions to the ledger, as pure functions from lazy frames to lazy frames.

Each takes what `Ledger.scan` gives and reads no file of its own; `collect()` is the
caller's. An infrastructure error is no score: it takes part in no rate.
"""

import polars as pl

from grindstone.ledger.intervals import Interval, newcombe, wilson
from grindstone.records import Arm, Outcome, Purpose

SCORED = pl.col("outcome") != Outcome.ERROR.value
PASSED = pl.col("outcome") == Outcome.PASSED.value
_IN_RUN = tuple(purpose.value for purpose in Purpose if purpose.in_run)
_ASIDE = (Purpose.COMPARE, Purpose.ABLATE, Purpose.IMPOSSIBLE, Purpose.CONFIRM)
ORDER = ("cycle", "batch", "trial", "started_at")


def main_attempts(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Return the attempts a run is about: not those of its gates, comparisons or checks.

    A run of another kind (a check, say) is about all of its attempts, but those of the two
    arms of a comparison or an ablation, which are no tasks' verdicts (`comparison.compare_arms`),
    those at planted tasks (`report.run_report.Planted`), and failures tried again.
    """
    counts = pl.col("purpose").is_in(_IN_RUN) & (pl.col("arm") == Arm.NONE.value)
    aside = pl.col("purpose").is_in([purpose.value for purpose in _ASIDE])
    return episodes.filter(counts | (~counts.any() & ~aside))


def latest(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Return the last attempt per agent, arm, task, cycle and trial."""
    by = ["agent_id", "arm", "task_id", "cycle", "trial"]
    return episodes.sort("started_at", "episode_id").unique(by, keep="last", maintain_order=True)


_UNPRICED = pl.col("cost_usd").is_null() & ~pl.col("rehearsal")
"""Nobody knows what it cost; what a rehearsal does costs nothing, unless somebody priced it."""


def by_task(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per task: how it went first and last, and what that took.

    Columns: task_id, category, difficulty, attempts, errors, cycles (list), outcomes (list),
    first_passed and passed (of the first and last scored attempt; null without one),
    needed_grinding, resolved_by_grinding, resolved_unchanged (by an agent that had failed as it
    is), tests_passed, tests_total, episode_id (of the last scored attempt), cost_usd (null when
    no price is known), unpriced, duration_s.
    """
    scored = pl.col("outcome").filter(SCORED)
    first, last = scored.first() == Outcome.PASSED.value, scored.last() == Outcome.PASSED.value
    tree = pl.col("workspace_tree")
    ended = tree.filter(SCORED).last()
    failed_so = (tree.filter(SCORED & ~PASSED) == ended).any() & (ended != "")
    return (
        episodes.sort(*ORDER)
        .group_by("task_id", maintain_order=True)
        .agg(
            pl.col("category").last(),
            pl.col("difficulty").last(),
            pl.len().alias("attempts"),
            (~SCORED).sum().alias("errors"),
            pl.col("cycle").alias("cycles"),
            pl.col("outcome").alias("outcomes"),
            first.alias("first_passed"),
            last.alias("passed"),
            (~first).fill_null(False).alias("needed_grinding"),
            (~first & last).fill_null(False).alias("resolved_by_grinding"),
            (~first & last & failed_so).fill_null(False).alias("resolved_unchanged"),
            pl.col("tests_passed").filter(SCORED).last(),
            pl.col("tests_total").filter(SCORED).last(),
            pl.col("episode_id").filter(SCORED).last(),
            _sum_or_null("cost_usd"),
            _UNPRICED.sum().alias("unpriced"),
            pl.col("duration_s").sum(),
        )
        .sort("category", "task_id")
    )


def pass_ratio(tasks: pl.LazyFrame, *by: str) -> pl.LazyFrame:
    """Return scored tasks, passed tasks and their ratio, of `by_task`'s rows per group.

    Columns: the group's, tasks, passed, first_passed, ratio (null without a scored task).
    """
    sums = [
        pl.col("passed").is_not_null().sum().alias("tasks"),
        pl.col("passed").sum(),
        pl.col("first_passed").sum(),
    ]
    frame = tasks.group_by(*by).agg(*sums).sort(*by) if by else tasks.select(*sums)
    ratio = pl.when(pl.col("tasks") > 0).then(pl.col("passed") / pl.col("tasks"))
    return frame.with_columns(ratio.alias("ratio"))


def pass_rate_by_cycle(episodes: pl.LazyFrame) -> pl.LazyFrame:
    """Return per cycle: attempts (scored), passed, ratio, errors, and solved so far."""
    per_cycle = (
        episodes.group_by("cycle")
        .agg(
            SCORED.sum().alias("attempts"),
            PASSED.sum().alias("passed"),
            (~SCORED).sum().alias("errors"),
        )
        .sort("cycle")
    )
    first_solved = (
        episodes.filter(PASSED).group_by("task_id").agg(pl.col("cycle").min()).group_by("cycle")
    ).agg(pl.len().alias("newly_solved"))
    ratio = pl.when(pl.col("attempts") > 0).then(pl.col("passed") / pl.col("attempts"))
    return (
        per_cycle.join(first_solved, on="cycle", how="left")
        .sort("cycle")
        .with_columns(
            ratio.alias("ratio"),
            pl.col("newly_solved").fill_null(0).cum_sum().alias("solved_so_far"),
        )
    )


def costs(calls: pl.LazyFrame, *by: str) -> pl.LazyFrame:
    """Return calls, tokens and dollars per group, such as role, task_id or model.

    Each payment counts once: a replayed call has its paid one's key. `cost_usd` is the sum
    of the known prices (null when none is known), `unpriced` the calls without one; a
    rehearsal's cost nothing and are not among them.
    """
    tokens = [
        pl.sum_horizontal(name, f"lost_{name}").sum().alias(name)
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    ]
    sums = [
        pl.len().alias("calls"),
        *tokens,
        _sum_or_null("cost_usd"),
        _UNPRICED.sum().alias("unpriced"),
    ]
    return calls.group_by(*by).agg(*sums).sort(*by) if by else calls.select(*sums)


def skill_effects(episodes: pl.LazyFrame, uses: pl.LazyFrame) -> pl.LazyFrame:
    """Return per skill how often attempts passed with it loaded and without it.

    "Without" are the scored attempts, at the tasks where it was ever loaded, that did not
    load it. That is an observation, not an experiment: later attempts also differ in
    other ways, and the comparison of arms is what settles it.

    Columns: skill, scope, offered, loaded, followed, with_passed, with_total,
    without_passed, without_total, difference, low, high (Newcombe, 95%; null when a side
    is empty).
    """
    scored = episodes.filter(SCORED).select("episode_id", "task_id", PASSED.alias("passed"))
    seen = uses.join(scored, on="episode_id")
    key = ["skill", "scope"]
    with_skill = seen.group_by(key).agg(
        pl.col("offered").sum(),
        pl.col("loaded").sum(),
        pl.col("followed").sum(),
        (pl.col("loaded") & pl.col("passed")).sum().alias("with_passed"),
        pl.col("loaded").sum().alias("with_total"),
    )
    loaded = seen.filter("loaded")
    attempts_at_its_tasks = loaded.select(*key, "task_id").unique().join(scored, on="task_id")
    without = (
        attempts_at_its_tasks.join(loaded, on=[*key, "episode_id"], how="anti")
        .group_by(key)
        .agg(pl.col("passed").sum().alias("without_passed"), pl.len().alias("without_total"))
    )
    counts = [pl.col("without_passed").fill_null(0), pl.col("without_total").fill_null(0)]
    return (
        with_skill.join(without, on=key, how="left")
        .with_columns(*counts)
        .sort(*key)
        .map_batches(_with_intervals, schema=_effect_schema())
    )


def egl_curve(egl: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows of the EGL table in the order of their cycles."""
    return egl.sort("run_key", "index")


def with_interval(frame: pl.DataFrame, passed: str, total: str) -> pl.DataFrame:
    """Return a collected frame with `low` and `high`, Wilson's 95% interval of passed/total."""
    found = [wilson(*pair) for pair in frame.select(passed, total).iter_rows()]
    return frame.with_columns(
        pl.Series("low", [each.low if each else None for each in found], pl.Float64),
        pl.Series("high", [each.high if each else None for each in found], pl.Float64),
    )


def _sum_or_null(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name)


def _effect_schema() -> pl.Schema:
    counts = ("offered", "loaded", "followed", "with_passed", "with_total")
    more = ("without_passed", "without_total")
    numbers = ("difference", "low", "high")
    return pl.Schema(
        {
            **{name: pl.String() for name in ("skill", "scope")},
            **{name: pl.Int64() for name in (*counts, *more)},
            **{name: pl.Float64() for name in numbers},
        }
    )


def _with_intervals(frame: pl.DataFrame) -> pl.DataFrame:
    groups = frame.select("with_passed", "with_total", "without_passed", "without_total")
    found: list[Interval | None] = [newcombe(*group) for group in groups.iter_rows()]
    added = {
        name: [getattr(each, field) if each else None for each in found]
        for name, field in (("difference", "value"), ("low", "low"), ("high", "high"))
    }
    return frame.with_columns(
        *(pl.Series(name, values, pl.Float64) for name, values in added.items())
    ).cast(_effect_schema())
