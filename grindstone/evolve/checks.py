"""The judgements on a skill's text that come from the skills room, as plain functions."""

from collections.abc import Sequence
from itertools import chain

from grindstone.evolve.config import EvolveConfig
from grindstone.evolve.permissions import Check, Checks
from grindstone.evolve.prompts import Observed
from grindstone.evolve.rejected import Rejected, refuses_again
from grindstone.skills.format import Skill, parse_skill, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.quality import check_quality, paths_of
from grindstone.skills.rules import validate_text
from grindstone.skills.unseen import unseen_characters
from grindstone.workspace.changes import Files, skill_of


def check_format(path: str, text: str) -> Sequence[str]:
    """Return what the open format forbids; mere spelling is mended on writing."""
    try:
        skill = parse_skill(text, where=path)
    except SkillError as error:
        return [f"{error.problem}; expected {error.expected}"]
    if hidden := unseen_in(skill, text):
        return hidden
    return [
        str(problem)
        for problem in validate_text(text, folder=skill_of(path), where=path)
        if not problem.spelling
    ]


def unseen_in(skill: Skill, text: str = "") -> Sequence[str]:
    """Return where a skill holds what nobody sees, a description's escapes opened.

    Args:
        skill: The skill.
        text: As it is written; empty: as it is rendered.
    """
    found = unseen_characters(text or render(skill))
    if not found and unseen_characters(skill.description):
        return ("its description holds characters that nobody sees",)
    return found


def quality_check(observations: Sequence[Observed]) -> Check:
    """Return the quality gate: general knowledge, which names none of these tasks."""
    task_ids = {seen.task_id for seen in observations}
    task_paths = set(chain.from_iterable(paths_of(seen.instruction) for seen in observations))

    def check(path: str, text: str) -> Sequence[str]:
        skill = parse_skill(text, where=path)
        found = check_quality(skill, max_chars=None, task_ids=task_ids, task_paths=task_paths)
        return [violation.message for violation in found]

    return check


def checks_for(
    config: EvolveConfig,
    observations: Sequence[Observed],
    leaks: Check | None,
    rejected: Sequence[Rejected],
    before: Files,
) -> Checks:
    """Return the checks that a configuration asks for."""
    return Checks(
        format=check_format,
        quality=quality_check(observations) if config.quality_gate else None,
        leaks=leaks if config.no_direct_answers else None,
        whole=refuses_again(rejected, before),
    )
