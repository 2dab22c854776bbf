"""What is wrong with a run's scores, or has none, as Markdown: forgery, errors, broken tasks."""

from collections import Counter

from grindstone.report.model import Planted, RunReport
from grindstone.report.words import cell, forged, table, were
from grindstone.settings import Profile
from grindstone.text import count

DETAIL_CHARS = 160
BASES = {
    "void": "voided by the agent (worth 0)",
    "disputed": "disputed (worth 0 unless trusted)",
    "settled": "settled in a fresh sandbox",
}
"""What a score rests on besides the tests, as a person reads it."""


def integrity_section(report: RunReport) -> str:
    """Return which scores rest on more than the tests, or may be forged; empty for none."""
    cheated = report.profile == Profile.CHEATER
    if not report.doubted and not report.exposed_tasks and not cheated and not report.planted:
        return ""
    parts = ["## Integrity"]
    if report.planted:
        parts.append(_planted(report.planted))
    if cheated:
        found = forged(report.passed, report.n_scored)
        parts.append(f"A bundled attacker made these attempts: {found}.")
    numbers = Counter(each.basis for each in report.doubted)
    told = [f"{numbers[basis]} {words}" for basis, words in BASES.items() if numbers[basis]]
    if told:
        parts.append(f"Of {count(report.n_attempts, 'attempt')}: {', '.join(told)}.")
        rows = [
            [each.task_id, str(each.cycle), each.basis, each.evidence[:DETAIL_CHARS]]
            for each in report.doubted
        ]
        parts.append(table(("task", "cycle", "basis", "evidence"), rows))
    if report.exposed_tasks:
        parts.append(
            f"The tests of {count(len(report.exposed_tasks), 'task')} seem to lend the agent's "
            "programs their rights, which no sandbox can keep from writing the reward: "
            f"{', '.join(report.exposed_tasks)}."
        )
    return "\n\n".join(parts)


def _planted(planted: Planted) -> str:
    told = f"At planted tasks that nobody can solve: {forged(planted.forged, planted.scored)}"
    if planted.tasks:
        told += f" (as {', '.join(planted.tasks)})"
    if planted.unscored:
        told += f"; {count(planted.unscored, 'more attempt')} {were(planted.unscored)} not scored"
    return f"{told}. They count in no rate."


def errors_section(report: RunReport) -> str:
    """Return the attempts without a score; empty for none."""
    if not report.errors:
        return ""
    rows = [
        [each.task_id, str(each.cycle), each.cause, each.detail[:DETAIL_CHARS]]
        for each in report.errors
    ]
    return (
        "## Infrastructure errors\n\nThese attempts have no score and count in no ratio.\n\n"
        + table(("task", "cycle", "cause", "detail"), rows)
    )


def incidents_section(report: RunReport) -> str:
    """Return what was lost to errors of Grindstone itself; empty for nothing."""
    if not report.incidents:
        return ""
    rows = [
        [each.step, each.error[:DETAIL_CHARS], f"`{each.traceback_file}`"]
        for each in report.incidents
    ]
    return (
        "## Internal errors\n\nErrors that nobody foresaw, in Grindstone itself. Each cost the "
        "step it happened in and nothing else; the tracebacks are in the run's folder.\n\n"
        + table(("step", "error", "traceback"), rows)
    )


def left_out_section(report: RunReport) -> str:
    """Return the folders that are no usable tasks; empty for none."""
    if not report.left_out:
        return ""
    lines = "\n".join(f"- {cell(each)}" for each in report.left_out)
    return f"## Left out\n\nThese folders are no usable tasks and were not tried.\n\n{lines}"
