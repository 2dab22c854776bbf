"""A comparison with skills against without, as Markdown."""

from grindstone.report.comparison import Comparison
from grindstone.report.model import RunReport
from grindstone.report.words import duration, money, percent, points, span, table
from grindstone.text import count


def comparison_headline(seen: Comparison) -> str:
    """Return what a comparison found in one sentence."""
    found = seen.paired
    if found.difference is None:
        return "no pair of attempts with and without skills has both scores"
    means = f"mean score {percent(found.candidate_mean)} with skills, "
    means += f"{percent(found.baseline_mean)} without"
    gain = f"{points(found.difference)} points (95% interval "
    gain += f"{points(found.interval_low)} to {points(found.interval_high)})"
    sure = "" if seen.told_apart else ", which may be chance"
    return f"{means}: {gain}{sure}"


def comparison_section(report: RunReport, *, under_headline: bool = False) -> str:
    """Return the two arms, task by task and in sum; empty where none were compared.

    Args:
        report: Of a run.
        under_headline: The page's title says what was found; it is not said again.
    """
    seen = report.comparison
    if seen is None:
        return ""
    arms = [
        [
            f"{arm.name} skills",
            f"{arm.passed}/{arm.attempts - arm.errors}",
            f"{percent(arm.pass_ratio)} {span(arm.pass_interval)}".strip(),
            percent(arm.mean_score),
            money(arm.cost_usd, arm.unpriced, rehearsal=report.rehearsal),
            f"{arm.tokens:,}",
            "-" if arm.mean_duration_s is None else duration(arm.mean_duration_s),
            str(arm.errors),
        ]
        for arm in (seen.with_skills, seen.without_skills)
    ]
    head = ("arm", "passed", "pass ratio", "mean score", "cost", "tokens", "an attempt", "errors")
    rows = [
        [
            task.task_id,
            task.category,
            "".join(outcome.mark for outcome in task.with_skills),
            "".join(outcome.mark for outcome in task.without_skills),
            points(task.difference),
        ]
        for task in seen.tasks
    ]
    found = seen.paired
    apart = found.n_clusters == found.n_tasks
    unit, units = ("task", "the tasks") if apart else ("cluster", "the clusters")
    within = "" if apart else f" in {count(found.n_clusters, 'cluster')} of tasks"
    text = (
        f"{count(found.n_pairs, 'pair')} over {count(found.n_tasks, 'task')}{within}, "
        f"{found.n_missing} without both scores. Of {units} {found.wins} went better with "
        f"skills, {found.losses} worse, {found.ties} alike. Exact paired test by {unit}, "
        f"two-sided: p = {found.p_two_sided:.3f}."
    )
    return "\n\n".join(
        [
            "## With skills against without",
            *([] if under_headline else [f"**{sentence_case(comparison_headline(seen))}.**"]),
            text,
            table(head, arms, (1, 3, 4, 5, 6, 7)),
            table(("task", "category", "with", "without", "points"), rows, (4,)),
        ]
    )


def sentence_case(text: str) -> str:
    """Return text that starts with a capital."""
    return text[:1].upper() + text[1:]
