"""What the evolver is told: permissions, budget, skills, what was refused, what happened."""

from collections.abc import Sequence

from grindstone.base import Frozen
from grindstone.evolve.permissions import RefusedChange
from grindstone.observe.observation import LabelledObservation, UnlabelledObservation
from grindstone.observe.patterns import JudgedTask, Pattern, find_patterns
from grindstone.prompts import filled
from grindstone.settings import EvolveScope
from grindstone.skills.drafts import Draft
from grindstone.skills.format import render

HISTORY = 30
"""Summaries of earlier tasks shown (skillforge: "task summaries (last 30)")."""

Observed = LabelledObservation | UnlabelledObservation


class SkillLine(Frozen):
    """A skill by name and description."""

    name: str
    description: str


SHARED_FAILURES = "Failures that several tasks share"
"""The heading of what a cycle's judged failures have in common."""


def step_prompt(
    *,
    number: int,
    scope: EvolveScope,
    skills: Sequence[SkillLine],
    history: Sequence[Observed],
    current: Sequence[Observed],
    drafts: Sequence[Draft] = (),
    refused: Sequence[RefusedChange] = (),
    rejected: Sequence[str] = (),
) -> str:
    """Return the first message of an evolver's session.

    Args:
        number: The evolution's number.
        scope: What may change.
        skills: The library.
        history: Observations of earlier steps, latest last; the last 30 are summarised.
        current: The attempts of this step.
        drafts: Drafts to show; pass none when drafts are kept from the evolver.
        refused: What was refused in the step before.
        rejected: Diffs of changes that a gate rejected and that may be shown.
    """
    shown = [*history, *current][-HISTORY:]
    return filled(
        "evolve",
        "step",
        number=number,
        permissions=_permissions(scope),
        budget=_budget(scope, len(skills)),
        skills="\n".join(f"- {skill.name}: {skill.description}" for skill in skills) or "None yet.",
        drafts=_section("Drafts from successes, not yet in the library", _drafts(drafts)),
        refused=_section("Refused in the step before, and undone", refusal_lines(refused)),
        rejected=_section("Weighed and rejected before", _rejected(rejected)),
        judged=_section("Judged from behaviour, lowest first", _judged(current)),
        patterns=_section(SHARED_FAILURES, _patterns(current)),
        history_limit=HISTORY,
        history="\n".join(f"- {seen.summary()}" for seen in shown) or "None.",
        current=", ".join(dict.fromkeys(seen.task_id for seen in current)) or "none",
    )


def refused_message(refusals: Sequence[RefusedChange]) -> str:
    """Return what the evolver is told, once, of the changes that were undone."""
    return filled("evolve", "refused", refusals=refusal_lines(refusals))


def refusal_lines(refusals: Sequence[RefusedChange]) -> str:
    """Return one line per refusal."""
    return "\n".join(f"- `{each.path}` ({each.rule}): {each.reason}" for each in refusals)


def patterns_of(observations: Sequence[Observed]) -> tuple[Pattern, ...]:
    """Return the failure patterns among judged observations."""
    return find_patterns(
        JudgedTask(task_id=seen.task_id, verdict=seen.judgement)
        for seen in observations
        if isinstance(seen, UnlabelledObservation) and seen.judgement is not None
    )


def _permissions(scope: EvolveScope) -> str:
    flags = ("evolve_skills", "evolve_memory", "evolve_prompts", "evolve_tools")
    lines = [f"- {flag}: {str(getattr(scope, flag)).lower()}" for flag in flags]
    if scope.protect_skills:
        lines.append("- protect_skills: true (existing skills are read-only; new ones may be made)")
    if scope.prompt_only:
        lines.append("- prompt_only: true (nothing but prompts/ may change)")
    if scope.no_direct_answers:
        lines.append("- no_direct_answers: true (no expected values, no test source)")
    if scope.max_skill_chars is not None:
        lines.append(f"- a SKILL.md has at most {scope.max_skill_chars} characters")
    return "\n".join(lines)


def _budget(scope: EvolveScope, count: int) -> str:
    if scope.max_skills is None:
        return f"{count} skills; no limit is set."
    if count >= scope.max_skills:
        return (
            f"{count} of {scope.max_skills} skills: the budget is reached. No new skills; refine "
            "the existing ones."
        )
    left = scope.max_skills - count
    return f"{count} of {scope.max_skills} skills; {left} more may be made."


def _section(title: str, body: str) -> str:
    return f"\n## {title}\n\n{body}\n" if body else ""


def _drafts(drafts: Sequence[Draft]) -> str:
    return "\n\n".join(
        f"### {draft.key} (supported by {', '.join(draft.supporters) or 'no task yet'})\n\n"
        + "\n".join(f"    {line}".rstrip() for line in render(draft.skill).splitlines())
        for draft in drafts
    )


def _rejected(diffs: Sequence[str]) -> str:
    if not diffs:
        return ""
    shown = ("\n".join(f"    {line}".rstrip() for line in diff.splitlines()) for diff in diffs)
    return filled("evolve", "rejected", diffs="\n\n".join(shown)).rstrip()


def _judged(current: Sequence[Observed]) -> str:
    judged = [
        (seen.judgement.score, seen.task_id, seen.judgement)
        for seen in current
        if isinstance(seen, UnlabelledObservation) and seen.judgement is not None
    ]
    judged.sort(key=lambda item: item[:2])
    return "\n".join(
        f"- {task_id}: {score} of 10, {verdict.category}. {verdict.outcome}"
        + (f" Reason: {verdict.failure_reason}" if verdict.failure_reason else "")
        for score, task_id, verdict in judged
    )


def _patterns(current: Sequence[Observed]) -> str:
    return "\n".join(
        f"- {pattern.category}: {pattern.reason} (tasks {', '.join(pattern.task_ids)}; "
        f"lowest score {pattern.lowest_score})"
        for pattern in patterns_of(current)
    )
