"""The quality gate: what a skill must be beyond valid before it enters a small library."""

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from grindstone.skills.format import Skill, render

DEFAULT_MAX_CHARS = 2_000

Rule = Literal[
    "kebab_case_name", "when_description", "domain_knowledge", "max_chars", "verification_steps"
]

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WHEN = re.compile(r"\bwhen(ever)?\b", re.IGNORECASE)
_HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)
_VERIFY = re.compile(r"\b(verif\w*|checks?|checking|validat\w*)\b", re.IGNORECASE)
_STEP = re.compile(r"^\s*([-*+]|\d+[.)])\s+\S|^\s*(```|~~~)", re.MULTILINE)
_PATH = re.compile(r"(?<![\w.])/(?:[\w.-]+/)*[\w.-]*\w")
_SHARED = re.compile(r"/(usr|bin|sbin|lib\w*|etc|proc|sys|dev|var|opt|tmp|root|home)(/|$)|/[\w-]+$")


class Violation(NamedTuple):
    """A rule of the quality gate that a skill breaks."""

    rule: Rule
    message: str


def check_quality(
    skill: Skill,
    *,
    max_chars: int | None = DEFAULT_MAX_CHARS,
    task_ids: Collection[str] = (),
    task_paths: Collection[str] = (),
) -> tuple[Violation, ...]:
    """Return the rules a skill breaks; empty when it passes.

    Args:
        skill: The skill.
        max_chars: Longest SKILL.md accepted, in characters; None for no limit.
        task_ids: Tasks of this run. An id of one plain word is not looked for: it would be
            found everywhere.
        task_paths: Paths that belong to single tasks; see `paths_of`.
    """
    text = render(skill)
    found: list[Violation] = []
    if len(skill.name) > 64 or not _KEBAB.fullmatch(skill.name):
        found.append(Violation("kebab_case_name", f"{skill.name!r} is not kebab-case"))
    if not _WHEN.search(skill.description):
        found.append(Violation("when_description", "the description does not say when it applies"))
    named = sorted(task for task in task_ids if _is_telling(task) and _mentions(text, task))
    if named:
        found.append(Violation("domain_knowledge", f"names tasks: {', '.join(named)}"))
    paths = sorted(path for path in task_paths if _mentions(text, path))
    if paths:
        found.append(Violation("domain_knowledge", f"names paths of a task: {', '.join(paths)}"))
    if max_chars is not None and len(text) > max_chars:
        found.append(Violation("max_chars", f"has {len(text)} characters, more than {max_chars}"))
    if lacking := _unverified(skill.body):
        found.append(Violation("verification_steps", lacking))
    return tuple(found)


def paths_of(instruction: str) -> tuple[str, ...]:
    """Return the absolute paths in a task's text that are its own.

    Folders every machine has, and what lies in them, do not count.
    """
    found = {match.group() for match in _PATH.finditer(instruction)}
    return tuple(sorted(path for path in found if not _SHARED.match(path)))


def _is_telling(task_id: str) -> bool:
    return len(task_id) >= 5 and not task_id.isalpha()


def _mentions(text: str, what: str) -> bool:
    return re.search(rf"(?<![\w/.-]){re.escape(what)}(?![\w-])", text) is not None


def _unverified(body: str) -> str:
    """Return what a skill's steps of verification lack; empty when there are some."""
    headings = list(_HEADING.finditer(body))
    found = ""
    for at, heading in enumerate(headings):
        if not _VERIFY.search(heading.group(1)):
            continue
        end = headings[at + 1].start() if at + 1 < len(headings) else len(body)
        if _STEP.search(body, heading.end(), end):
            return ""
        found = found or heading.group(0).strip()
    if found:
        return f"has no step below {found!r}; expected a list item or a block of code"
    return "has no section of verification steps (a heading such as ## Verification)"
