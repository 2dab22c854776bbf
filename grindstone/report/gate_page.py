"""What a gate decided, on what evidence, and the page that shows it."""

from collections.abc import Callable

from grindstone.base import Frozen
from grindstone.gate.paired import Pair, PairedComparison, compare_paired
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow
from grindstone.report.markdown_gates import broke, cut_short, gate_headline
from grindstone.report.plots import Bar, bars_with_intervals, can_plot, render_svg
from grindstone.report.words import table
from grindstone.text import count

REHEARSED = "> This was a rehearsal: a local program stood in for the model."


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

    @property
    def unmeasured(self) -> bool:
        """Whether no attempt has a score, so that nothing was found out about the change."""
        return all(p.baseline_score is None and p.candidate_score is None for p in self.pairs)


def as_pair(row: GatePairRow) -> Pair:
    """Return the scores of a row."""
    return Pair(
        task_id=row.task_id,
        cluster=row.cluster,
        trial=row.trial,
        baseline=row.baseline_score,
        candidate=row.candidate_score,
    )


def gate_markdown(gated: Gated, image: str = "", *, link: Callable[[str], str] = str) -> str:
    """Return a decision as markdown: headline, what it could see, numbers, every pair.

    Args:
        gated: The decision.
        image: Its plot, in Markdown.
        link: Makes a task's id lead to its trajectories.
    """
    row, seen = gated.row, gated.comparison
    more = "".join(f"- {said}\n" for said in (broke(row), cut_short(row)) if said)
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
        f"- {count(seen.n_pairs, 'pair')}, {seen.n_missing} missing for want of a score\n"
        f"{more}- baseline {row.commit_before[:12]}, candidate {row.commit_after[:12]}"
    )
    rows = [
        [
            link(pair.task_id),
            pair.category,
            str(pair.trial),
            _score(pair.baseline_score),
            _score(pair.candidate_score),
            pair.baseline_episode_id[:12],
            pair.candidate_episode_id[:12],
        ]
        for pair in sorted(gated.pairs, key=lambda pair: (pair.task_id, pair.trial))
    ]
    head = ("task", "category", "trial", "before", "after", "episode before", "episode after")
    title = f"# Gate {row.gate_id}: {gate_headline(row)}"
    note = REHEARSED if gated.rehearsal else ""
    return (
        "\n\n".join(filter(None, [title, note, gated.sentence, facts, image, table(head, rows)]))
        + "\n"
    )


def _score(score: float | None) -> str:
    return "missing" if score is None else f"{score:.2f}"


def gate_plot(gated: Gated) -> bytes | None:
    """Return a drawing (SVG) of each task's difference, and the mean with its interval.

    None where the extra `plots` is not installed.
    """
    if not can_plot():
        return None
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
