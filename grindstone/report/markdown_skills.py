"""What a run learned and was kept from learning, and what skills came to, as Markdown."""

from grindstone.report.model import RunReport
from grindstone.report.words import cell, points, table

GRIND = "grind"
"""The kind of run that tries failed tasks again."""


def anchor(skill: str) -> str:
    """Return the link target of a skill's heading."""
    return f"skill-{skill}"


def learned_section(report: RunReport) -> str:
    """Return each skill the run learned, and from what, and other files it changed."""
    if not (report.learned or report.edited):
        return ""
    parts = ["## What was learned"]
    flattered = "observed, and flattered: only what failed is tried again"
    observed = flattered if report.kind == GRIND else "observed, not an experiment"
    for each in report.learned:
        kind = {"task": " (for one task)", "draft": " (draft)"}.get(each.scope, "")
        parts.append(f'### <a id="{anchor(each.skill)}"></a>{each.skill}{kind}')
        if each.description:
            parts.append(cell(each.description.strip().splitlines()[0]))
        facts = [f"Evolution {each.evo_number}"]
        if each.learned_from:
            which = "one or more of " if each.of_a_batch else ""
            facts.append(f"taught by {which}{', '.join(each.learned_from)}")
        if each.helped:
            facts.append(f"{', '.join(each.helped)} passed with it")
        if each.effect:
            facts.append(
                f"{points(each.effect.value)} points with it loaded "
                f"(95% interval {points(each.effect.low)} to {points(each.effect.high)}, "
                f"{observed})"
            )
        parts.append("; ".join(facts) + ".")
    if report.edited:
        edited = [(each.path, ", ".join(map(str, each.evolutions))) for each in report.edited]
        parts.append(table(("file beside the skills", "changed by evolution"), edited))
    return "\n\n".join(parts)


def skill_use_section(report: RunReport) -> str:
    """Return how often each skill was offered, read and followed; empty for none."""
    if not report.skill_effects:
        return ""
    rows = [
        [
            f"{each.skill} (for one task)" if each.scope == "task" else each.skill,
            str(each.offered),
            str(each.loaded),
            str(each.followed),
            _share(each.with_passed, each.with_total),
            _share(each.without_passed, each.without_total),
            points(each.difference),
            "-" if each.low is None else f"{points(each.low)} to {points(each.high)}",
        ]
        for each in report.skill_effects
    ]
    head = ("skill", "offered", "loaded", "followed", "passed with it", "without it")
    why = "later attempts differ in other ways too"
    if report.kind == GRIND:
        why = (
            "a grind tries again what failed, so the attempts before a skill are failures, and a "
            "skill that does nothing seems to do something"
        )
    return (
        "## Skill use\n\nIn how many scored attempts each skill was offered, read and followed, "
        "and how the attempts at its tasks went with it loaded and without. This is observed, "
        f"not an experiment: {why}. `grindstone compare` and `skills audit` are experiments.\n\n"
        + table((*head, "points", "95% interval"), rows, (1, 2, 3, 4, 5, 6))
    )


def _share(passed: int, total: int) -> str:
    return f"{passed}/{total}" if total else "-"


def refused_section(report: RunReport) -> str:
    """Return the changes that were not taken over, and why; empty for none."""
    if not report.refused:
        return ""
    rows = [
        [str(each.evo_number or "-"), f"`{each.path}`", each.rule, each.reason]
        for each in report.refused
    ]
    return "## Changes that were refused\n\n" + table(("evolution", "file", "rule", "why"), rows)
