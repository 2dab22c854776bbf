"""The judgements on a skill's text that come from the skills room, as plain functions."""

from collections.abc import Sequence

from grindstone.evolve.permissions import Check, Checks, skill_of
from grindstone.settings import EvolveScope
from grindstone.skills.rules import validate_text


def check_format(path: str, text: str) -> Sequence[str]:
    """Return what the open format forbids; mere spelling is mended on writing."""
    return [
        str(problem)
        for problem in validate_text(text, folder=skill_of(path), where=path)
        if not problem.spelling
    ]


def checks_for(scope: EvolveScope, leaks: Check | None) -> Checks:
    """Return the checks that a scope asks for."""
    return Checks(format=check_format, leaks=leaks if scope.no_direct_answers else None)
