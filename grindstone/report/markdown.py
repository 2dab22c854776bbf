"""A run's report as Markdown that a person wants to read."""

from collections.abc import Mapping

from grindstone.records import Outcome
from grindstone.report.certificate import release_facts, release_headline
from grindstone.report.markdown_arms import comparison_headline, comparison_section
from grindstone.report.markdown_confirmed import confirmed_section
from grindstone.report.markdown_faults import (
    errors_section,
    incidents_section,
    integrity_section,
    left_out_section,
)
from grindstone.report.markdown_gates import gate_headline, gates_section
from grindstone.report.markdown_orders import orders_section
from grindstone.report.markdown_skills import (
    GRIND,
    anchor,
    learned_section,
    refused_section,
    skill_use_section,
)
from grindstone.report.model import GroupLine, RunReport, TaskLine
from grindstone.report.words import duration, money, percent, span, table, were
from grindstone.text import count, minute

RELEASE = "release"
"""The kind of run that looks at sealed tasks."""


def headline(report: RunReport) -> str:
    """Return the finding in one sentence; a rehearsal says so first, what is missing last."""
    missing = [
        count(len(report.left_out), "broken task") + " left out" if report.left_out else "",
        count(len(report.incidents), "internal error") if report.incidents else "",
    ]
    return "; ".join([_finding(report), *filter(None, missing)])


def _finding(report: RunReport) -> str:
    start = "Rehearsal: " if report.rehearsal else ""
    if report.release is not None:
        return start + release_headline(report.release).rstrip(".")
    if report.kind == RELEASE:
        return f"{start}This release has not ended: nothing is announced"
    if report.comparison is not None and report.n_tasks == 0:
        return start + comparison_headline(report.comparison)
    if report.n_scored == 0 and report.gates:
        return start + f"gate: {gate_headline(report.gates[-1])}"
    if report.n_scored == 0:
        return f"{start}no scored attempts in run {report.run_key}"
    text = f"{report.passed} of {count(report.n_scored, 'task')} passed{_how(report)}"
    unscored = report.n_tasks - report.n_scored
    return start + text + (f"; {unscored} without a score" if unscored else "")


def _how(report: RunReport) -> str:
    alike = report.passed == report.first_passed
    if report.kind and report.kind != GRIND and not alike:
        whose = "its" if report.n_scored == 1 else "their"
        return f" at {whose} last attempt, {report.first_passed} at the first"
    if (report.kind and report.kind != GRIND) or not report.needed_grinding:
        every = report.passed == report.n_scored and alike
        return ", all at first sight" if every else ""
    return (
        f"; {report.needed_grinding} needed grinding and {report.resolved_by_grinding} of them "
        f"{were(report.resolved_by_grinding)} resolved{_by_luck(report)}"
    )


def render_markdown(
    report: RunReport,
    images: Mapping[str, str] | None = None,
    pages: Mapping[str, str] | None = None,
) -> str:
    """Return the report as Markdown.

    Args:
        report: What `build_report` returned.
        images: Markdown images by section, named as `plots.report_plots` names them; they
            are put where they belong.
        pages: Addresses of the tasks' trajectories by task id, where there are some.
    """
    images = images or {}
    parts = [f"# {headline(report)}", _facts(report)]
    if report.n_tasks or not (report.comparison or report.gates or report.kind == RELEASE):
        parts += [_numbers(report), images.get("pass_rate", "")]
    parts += [
        comparison_section(report, under_headline=report.n_tasks == 0),
        images.get("comparison", ""),
        release_facts(report.release) if report.release is not None else "",
        _verdicts(report, pages or {}),
        images.get("verdicts", ""),
        learned_section(report),
        skill_use_section(report),
        refused_section(report),
        gates_section(report),
        confirmed_section(report),
        _groups(report),
        images.get("categories", ""),
        _egl(report),
        images.get("egl", ""),
        _costs(report),
        images.get("cost", ""),
        integrity_section(report),
        errors_section(report),
        incidents_section(report),
        orders_section(report.orders),
        left_out_section(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(report: RunReport) -> str:
    who = f"Agent **{report.agent_id}**" if report.agent_id else "An agent"
    how = [
        f"model `{report.model}`" if report.model else "",
        f"profile `{report.profile}`" if report.profile else "",
        f"sandbox `{report.sandbox}`" if report.sandbox else "",
    ]
    lines = [f"Run `{report.run_key}` ({report.kind or 'run'}"]
    lines[0] += f", {report.status})" if report.status else ")"
    lines.append(", ".join([who, *filter(None, how)]))
    if report.started_at:
        lines.append(f"{minute(report.started_at)} UTC, {duration(report.duration_s)} of attempts")
    text = " · ".join(lines)
    if report.rehearsal:
        text += (
            "\n\n> This was a rehearsal: a local program stood in for the model. It shows that "
            "the machinery works, and nothing about any model's ability."
        )
    return text


def _numbers(report: RunReport) -> str:
    ratio = percent(report.pass_ratio) if report.n_scored else "no scored attempts"
    rows = [
        ("Pass ratio", f"**{ratio}** {span(report.pass_interval)}".strip()),
        ("Passed at first sight", f"{report.first_passed} of {report.n_scored}"),
        *_grinding(report),
        ("Attempts", f"{report.n_attempts}, {count(len(report.errors), 'infrastructure error')}"),
        ("Skills learned", str(sum(each.scope == "general" for each in report.learned))),
        (
            "Cost",
            f"{money(report.cost_usd, report.unpriced_calls, rehearsal=report.rehearsal)}, "
            f"{report.total_tokens:,} tokens",
        ),
    ]
    return table(("", ""), rows)


def _grinding(report: RunReport) -> list[tuple[str, str]]:
    if report.kind and report.kind != GRIND:
        return []
    return [
        ("Needed grinding", str(report.needed_grinding)),
        (
            "Resolved by grinding",
            f"{report.resolved_by_grinding} of {report.needed_grinding}{_by_luck(report)}",
        ),
    ]


def _by_luck(report: RunReport) -> str:
    """What nothing was learned for: an agent that failed passed as it was."""
    n = report.resolved_unchanged
    return f", {n} of them by trying again with nothing changed" if n else ""


def _verdicts(report: RunReport, pages: Mapping[str, str]) -> str:
    if not report.tasks:
        return ""
    cycles = sorted({each.cycle for line in report.tasks for each in line.attempts})
    rows: list[list[str]] = []
    known = {each.skill for each in report.learned}
    for line in report.tasks:
        marks = [_marks(line, cycle) for cycle in cycles]
        helped = ", ".join(
            f"[{skill}](#{anchor(skill)})" if skill in known else skill for skill in line.helped
        )
        rows.append(
            [
                *(_linked(line.task_id, pages), line.category, line.difficulty),
                *marks,
                *(
                    _tests(line),
                    helped,
                    money(line.cost_usd, line.unpriced_calls, rehearsal=report.rehearsal),
                ),
            ]
        )
    head = ["task", "category", "difficulty", *(f"cycle {n}" for n in cycles)]
    return (
        "## Verdicts\n\n"
        + table([*head, "tests", "skills it passed with", "cost"], rows, [len(head), len(head) + 2])
        + "\n\n✓ passed, ✗ failed, ⚠ infrastructure error (no score)"
    )


def _marks(line: TaskLine, cycle: int) -> str:
    return "".join(each.outcome.mark for each in line.attempts if each.cycle == cycle)


def _tests(line: TaskLine) -> str:
    """Return tests passed of all, in the last scored attempt."""
    scored = [each for each in line.attempts if each.outcome is not Outcome.ERROR]
    last = scored[-1] if scored else None
    return f"{last.tests_passed}/{last.tests_total}" if last and last.tests_total else "-"


def _linked(task_id: str, pages: Mapping[str, str]) -> str:
    return f"[{task_id}]({pages[task_id]})" if task_id in pages else task_id


def _groups(report: RunReport) -> str:
    parts = []
    for title, lines in (("category", report.by_category), ("difficulty", report.by_difficulty)):
        if lines:
            rows = [_group(line) for line in lines]
            head = (title, "passed", "ratio", "95% interval", "at first sight")
            parts.append(f"## By {title}\n\n" + table(head, rows, (1, 2, 3, 4)))
    return "\n\n".join(parts)


def _group(line: GroupLine) -> list[str]:
    bounds = "-" if line.low is None else f"{line.low:.0%} to {line.high:.0%}"
    return [
        line.name or "(none)",
        f"{line.passed}/{line.tasks}",
        percent(line.ratio),
        bounds,
        str(line.first_passed),
    ]


def _egl(report: RunReport) -> str:
    if not report.egl:
        return ""
    rows = [
        [
            str(row.index + 1),
            str(row.new_skills),
            str(row.tasks_solved),
            "-" if row.egl is None else f"{row.egl:.1f}",
        ]
        for row in report.egl
    ]
    said = "It has converged." if report.converged else "It has not converged."
    return (
        "## Skills per thousand solved tasks (EGL)\n\n"
        "Cycles are numbered through the whole run, batch after batch.\n\n"
        + table(("cycle", "new skills", "tasks solved", "EGL"), rows, (0, 1, 2, 3))
        + f"\n\n{said}"
    )


def _costs(report: RunReport) -> str:
    if not report.costs:
        return ""
    rows = [
        [
            line.role,
            f"{line.calls:,}",
            f"{line.input_tokens:,}",
            f"{line.cache_read_tokens:,}",
            f"{line.cache_write_tokens:,}",
            f"{line.output_tokens:,}",
            money(line.cost_usd, line.unpriced, rehearsal=report.rehearsal),
        ]
        for line in report.costs
    ]
    head = ("role", "calls", "input", "cache read", "cache write", "output", "cost")
    return "## Cost by role\n\n" + table(head, rows, (1, 2, 3, 4, 5, 6))
