"""Failures that more than one task shares: what is worth a skill (adaptive-skill, phase 3)."""

import re
from collections.abc import Iterable

from grindstone.base import Frozen
from grindstone.observe.judge import PASSING_SCORE
from grindstone.observe.masking import without_long_words
from grindstone.observe.observation import JudgeVerdict

MIN_TASKS = 2
SIMILAR = 0.5
"""Share of words two reasons must have in common (Jaccard) to be one reason."""

_FILLER = """
a an the and or of to in on at for with was were is are be been it its this that as by from
agent task did not no failed fail failure could couldn didn because due while when
"""
_STOP = frozenset(_FILLER.split())


class JudgedTask(Frozen):
    """A task and what the judge said of an attempt at it."""

    task_id: str
    verdict: JudgeVerdict


class Pattern(Frozen):
    """A failure seen in at least two tasks."""

    category: str
    reason: str
    """The reason of the lowest score, in the judge's words."""
    task_ids: tuple[str, ...]
    lowest_score: int
    mean_score: float


def normalise_reason(reason: str) -> frozenset[str]:
    """Return the words that carry a reason: no paths, numbers, quotes, filler or endings."""
    text = re.sub(
        r"(?:[~.]?/)?[\w.-]+/[\w./-]*|'[^']*'|\"[^\"]*\"|`[^`]*`|\d+",
        " ",
        without_long_words(reason.lower()),
    )
    words = (re.sub(r"(?:ing|ed|es|s)$", "", word) for word in re.findall(r"[a-z]{2,}", text))
    return frozenset(word for word in words if len(word) > 1) - _STOP


def find_patterns(judged: Iterable[JudgedTask]) -> tuple[Pattern, ...]:
    """Return the failures that at least two distinct tasks share, lowest score first.

    Attempts scoring 7 or more are left out. The others are taken lowest first; each joins
    the first group of its category whose reason shares half its words, or opens one.
    """
    failed = sorted(
        (item for item in judged if item.verdict.score < PASSING_SCORE),
        key=lambda item: (item.verdict.score, item.task_id, item.verdict.failure_reason),
    )
    groups: list[tuple[str, frozenset[str], list[JudgedTask]]] = []
    for item in failed:
        words = normalise_reason(item.verdict.failure_reason)
        for category, leading, members in groups:
            if category == item.verdict.category and _similar(leading, words):
                members.append(item)
                break
        else:
            groups.append((item.verdict.category, words, [item]))
    patterns = []
    for category, _, members in groups:
        tasks = tuple(dict.fromkeys(member.task_id for member in members))
        if len(tasks) < MIN_TASKS:
            continue
        scores = [member.verdict.score for member in members]
        patterns.append(
            Pattern(
                category=category,
                reason=members[0].verdict.failure_reason,
                task_ids=tasks,
                lowest_score=min(scores),
                mean_score=sum(scores) / len(scores),
            )
        )
    return tuple(patterns)


def _similar(one: frozenset[str], other: frozenset[str]) -> bool:
    if not one and not other:
        return True
    return len(one & other) / len(one | other) >= SIMILAR
