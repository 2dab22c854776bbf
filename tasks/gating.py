"""A gate's memory and its public face: attempts made before, rows, the artifact."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from grindstone.attempt.arms import Arms
from grindstone.attempt.spec import AttemptSpec
from grindstone.base import Frozen
from grindstone.files import write_atomic
from grindstone.gate.paired import Pair, PairedComparison, compare_paired
from grindstone.gate.power import detectable_effect, sentence
from grindstone.gate.rules import Decision, Policy, Rule, decide, rule_of
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow
from grindstone.records import Episode, Outcome, Purpose, utc_now
from grindstone.report.markdown_gates import gate_headline
from grindstone.report.plots import Bar, as_markdown_image, bars_with_intervals, render_svg
from grindstone.settings import GateOptions
from grindstone.tasks.artifacts import artifact_key, artifact_link, publish_markdown, trajectory_key
from grindstone.tasks.runtime import Runtime

REHEARSED = "> This was a rehearsal: a local program stood in for the model."


class Scored(NamedTuple):
    """One attempt and its score; None where infrastructure kept it from having one."""

    episode_id: str
    score: float | None

    @classmethod
    def of(cls, episode: Episode) -> "Scored":
        """Take what a pair needs of an episode."""
        error = episode.outcome is Outcome.ERROR
        return cls(episode.episode_id, None if error else episode.score)


class Gated(Frozen):
    """What a gate decided, and on what evidence."""

    row: GateDecisionRow
    pairs: tuple[GatePairRow, ...]
    comparison: PairedComparison
    sentence: str
    rehearsal: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the change stays."""
        return self.row.accepted


def gate_rule(options: GateOptions) -> Rule:
    """Return the rule that settings ask for."""
    return rule_of(options.gate_rule, alpha=options.gate_alpha, threshold=options.gate_threshold)


def gate_sentence(options: GateOptions, n_tasks: int) -> str:
    """Return what is said before a gate runs."""
    direction = gate_rule(options).direction
    return sentence(n_tasks, options.gate_trials, alpha=options.gate_alpha, direction=direction)


def made_before(ledger: Ledger, specs: Sequence[AttemptSpec]) -> dict[str, Scored]:
    """Return the scored attempts that gates of any run have made of the same content.

    An episode's id is a digest of its content, run and place, so a row is of the same content
    exactly when the id computed from the spec at the row's run and place is the row's own.
    Arms are kept apart: a candidate was accepted partly for its luck, and reusing its scores
    as the next baseline would hold that luck against the next candidate.

    Returns:
        By the `episode_id` of the spec that it stands for.
    """
    import polars as pl  # noqa: PLC0415 - loaded when a ledger is read

    columns = ("episode_id", "run_key", "cycle", "arm", "task_id", "workspace_tree", "trial")
    rows = (
        ledger.scan(Episode)
        .filter(
            pl.col("purpose") == Purpose.GATE.value,
            pl.col("outcome") != Outcome.ERROR.value,
            pl.col("workspace_tree").is_in(sorted({spec.workspace_tree for spec in specs})),
        )
        .sort("started_at", "episode_id")
        .select(*columns, "score")
        .collect()
        .to_dicts()
    )
    found: dict[str, Scored] = {}
    for spec in specs:
        place = (spec.arm, spec.task_id, spec.workspace_tree, spec.trial)
        for row in rows:
            if place != tuple(row[n] for n in ("arm", "task_id", "workspace_tree", "trial")):
                continue
            there = spec.model_copy(update={"run_key": row["run_key"], "cycle": row["cycle"]})
            if there.episode_id == row["episode_id"]:
                found[spec.episode_id] = Scored(row["episode_id"], row["score"])
                break
    return found


def decided_before(ledger: Ledger, run_key: str, gate_id: str, said: str) -> Gated | None:
    """Return a gate of this run that has been decided; its decision stands."""
    rows = ledger.rows(GateDecisionRow, run_key)
    row = next((row for row in rows if row.gate_id == gate_id), None)
    if row is None:
        return None
    pairs = [pair for pair in ledger.rows(GatePairRow, run_key) if pair.gate_id == gate_id]
    pairs.sort(key=lambda pair: (pair.trial, pair.task_id))
    seen = compare_paired(as_pair(pair) for pair in pairs)
    return Gated(row=row, pairs=tuple(pairs), comparison=seen, sentence=said)


def as_pair(row: GatePairRow) -> Pair:
    """Return the scores of a row."""
    return Pair(
        task_id=row.task_id,
        trial=row.trial,
        baseline=row.baseline_score,
        candidate=row.candidate_score,
    )


async def record_gate(
    runtime: Runtime,
    options: GateOptions,
    arms: Arms,
    pairs: Sequence[GatePairRow],
    *,
    gate_id: str,
    cycle: int,
    n_tasks: int,
    said: str,
) -> Gated:
    """Decide on what was seen, and keep the pairs and the decision.

    Args:
        runtime: The run's resources.
        options: Rule, level, policy.
        arms: What was compared.
        pairs: What was seen.
        gate_id: Names the gate within the run.
        cycle: The run's cycle, 0 for none.
        n_tasks: Tasks that were planned.
        said: What was said before it ran.
    """
    rule = gate_rule(options)
    seen = await asyncio.to_thread(lambda: compare_paired(as_pair(pair) for pair in pairs))
    decision = decide(rule, seen, Policy(options.gate_on_cannot_tell))
    row = _row(runtime, options, arms, seen, decision, gate_id=gate_id, cycle=cycle).model_copy(
        update={
            "p_value": {"drop": seen.p_worse, "gain": seen.p_better}.get(rule.direction),
            "alpha": None if rule.direction == "none" else options.gate_alpha,
            "detectable_effect": None
            if rule.direction == "none"
            else await asyncio.to_thread(
                detectable_effect, n_tasks, options.gate_trials, alpha=options.gate_alpha
            ),
        }
    )
    for rows in (list(pairs), [row]):
        await asyncio.to_thread(runtime.ledger.append, rows, run_key=runtime.run_key)
    return Gated(row=row, pairs=tuple(pairs), comparison=seen, sentence=said)


def _row(
    runtime: Runtime,
    options: GateOptions,
    arms: Arms,
    seen: PairedComparison,
    decision: Decision,
    *,
    gate_id: str,
    cycle: int,
) -> GateDecisionRow:
    shared = GateDecisionRow.model_fields.keys() & PairedComparison.model_fields.keys()
    return GateDecisionRow(
        run_key=runtime.run_key,
        gate_id=gate_id,
        cycle=cycle,
        rule=options.gate_rule,
        verdict=decision.verdict,
        accepted=decision.accepted,
        threshold=options.gate_threshold,
        commit_before=arms.baseline.commit,
        commit_after=arms.candidate.commit,
        reason=decision.reason,
        at=utc_now(),
        **{name: getattr(seen, name) for name in shared},
    )


async def publish_gate(runtime: Runtime, gated: Gated) -> None:
    """Show a decision: in the run's folder, and as an artifact with links to trajectories."""
    svg = await asyncio.to_thread(_plot, gated)
    name = artifact_key("gate", gated.row.gate_id)
    await asyncio.to_thread(write_atomic, runtime.run_dir / "plots" / f"{name}.svg", svg)
    in_folder = gate_markdown(gated, f"![differences](plots/{name}.svg)")
    await asyncio.to_thread(write_atomic, runtime.run_dir / f"{name}.md", in_folder)
    await publish_markdown(
        artifact_key("gate", runtime.agent_id),
        gate_markdown(gated, as_markdown_image(svg, "differences"), links=True),
        description=gate_headline(gated.row),
    )


def gate_markdown(gated: Gated, image: str = "", *, links: bool = False) -> str:
    """Return a decision as markdown: headline, what it could see, numbers, every pair."""
    row, seen = gated.row, gated.comparison
    interval = (
        ""
        if seen.interval_low is None or seen.interval_high is None
        else f", 95% interval {seen.interval_low * 100:+.0f} to {seen.interval_high * 100:+.0f}"
    )
    level = "" if row.p_value is None else f"; p = {row.p_value:.3f} at {row.alpha:.0%}"
    facts = (
        f"- rule: {row.rule}{level}\n"
        f"- {row.reason}\n"
        f"- tasks: {seen.wins} better, {seen.losses} worse, {seen.ties} the same{interval}\n"
        f"- {seen.n_pairs} pairs, {seen.n_missing} missing for want of a score\n"
        f"- baseline {row.commit_before[:12]}, candidate {row.commit_after[:12]}"
    )
    lines = [
        f"| {artifact_link(trajectory_key(pair.task_id), pair.task_id) if links else pair.task_id} "
        f"| {pair.category} | {pair.trial} | {_cell(pair.baseline_score)} "
        f"| {_cell(pair.candidate_score)} | {pair.baseline_episode_id[:12]} "
        f"| {pair.candidate_episode_id[:12]} |"
        for pair in sorted(gated.pairs, key=lambda pair: (pair.task_id, pair.trial))
    ]
    head = "| task | category | trial | before | after | episode before | episode after |"
    table = "\n".join([head, "|---|---|---|---|---|---|---|", *lines])
    title = f"# Gate {row.gate_id}: {gate_headline(row)}"
    note = REHEARSED if gated.rehearsal else ""
    return "\n\n".join(filter(None, [title, note, gated.sentence, facts, image, table])) + "\n"


def _cell(score: float | None) -> str:
    return "missing" if score is None else f"{score:.2f}"


def _plot(gated: Gated) -> bytes:
    """Draw each task's difference, and the mean with its interval."""
    seen = gated.comparison
    by_task: dict[str, list[Pair]] = {}
    for row in gated.pairs:
        by_task.setdefault(row.task_id, []).append(as_pair(row))
    bars = [
        Bar(task_id, alone.difference)
        for task_id, pairs in sorted(by_task.items())
        if (alone := compare_paired(pairs)).difference is not None
    ]
    if seen.difference is not None:
        mean = Bar("all tasks", seen.difference, seen.interval_low, seen.interval_high)
        bars.insert(0, mean)
    chart = bars_with_intervals(
        bars,
        gate_headline(gated.row),
        value="candidate minus baseline",
        percent=True,
        target=0.0,
        note=gated.rehearsal,
    )
    return render_svg(chart)
