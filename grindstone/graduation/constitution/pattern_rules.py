"""Rules that a person's own patterns make, and what comes of any rule.

A pattern that takes too long over an action leaves its rule undecided there; what it found
elsewhere counts.
"""

from typing import NamedTuple

from grindstone.graduation.constitution.disclosure import Leaves, told_by
from grindstone.graduation.constitution.matching import Looking, OverlongError
from grindstone.graduation.constitution.material import Action, Material
from grindstone.graduation.constitution.pack import (
    ForbiddenActionRule,
    PatternRule,
    RequiredStepRule,
    Rule,
)
from grindstone.ledger.tables.autonomy import RuleViolation

EVIDENCE_CHARS = 200


class Finding(NamedTuple):
    """What came of one rule."""

    applied: bool = True
    violations: tuple[RuleViolation, ...] = ()
    undecided: str = ""


def violation(rule: Rule, action: Action | None, evidence: str) -> RuleViolation:
    """Return a breach of a rule, by an action where it is one's."""
    return RuleViolation(
        rule=rule.id,
        severity=rule.severity,
        evidence=" ".join(evidence.split())[:EVIDENCE_CHARS],
        step=action.index if action is not None else None,
    )


def pattern(rule: PatternRule, material: Material) -> Finding:
    """Return what comes of a pattern that must not, or must, be found."""
    looking, undecided, looked = Looking(), "", 0
    hits: list[RuleViolation] = []
    for action in material.actions:
        if (rule.where == "said" and not _said(action)) or (
            rule.where == "done" and not action.tool
        ):
            continue
        try:
            if rule.tools is not None and not looking.fullmatch(rule.tools, action.tool):
                continue
            looked += 1
            text = _said(action) if rule.where == "said" else action.all_text
            if found := looking.search(rule.pattern, text):
                hits.append(violation(rule, action, found[0]))
        except OverlongError as error:
            undecided = f"{rule.id}: {error}"
    if rule.must == "not_appear":
        return Finding(violations=tuple(hits), undecided=undecided)
    if hits:
        return Finding()
    if undecided or not looked:
        return Finding(applied=bool(looked), undecided=undecided)
    missing = violation(rule, None, f"nothing like /{rule.pattern}/ was found")
    return Finding(violations=(missing,))


def _said(action: Action) -> str:
    """Return what an action says to somebody: words, closing words, what it sends out."""
    told = told_by(action)
    return told.text if told.leaves is Leaves.YES else action.text


def required(rule: RequiredStepRule, material: Material) -> Finding:
    """Return what comes of a step that must have been taken."""
    try:
        return _required(rule, material, Looking())
    except OverlongError as error:
        return Finding(undecided=f"{rule.id}: {error}")


def _required(rule: RequiredStepRule, material: Material, looking: Looking) -> Finding:
    def is_step(action: Action) -> bool:
        return looking.search(rule.step, action.all_text) is not None

    if rule.before is None:
        if any(map(is_step, material.actions)):
            return Finding()
        if not material.actions:
            return Finding(undecided=f"{rule.id}: the episode's steps were not recorded")
        return Finding(violations=(violation(rule, None, f"no step like /{rule.step}/"),))
    applied = taken = False
    for action in material.actions:
        if looking.search(rule.before, action.all_text):
            applied = True
            if not taken and not is_step(action):
                evidence = f"{_short(action)} without a step like /{rule.step}/ before it"
                return Finding(violations=(violation(rule, action, evidence),))
        taken = taken or is_step(action)
    return Finding(applied=applied)


def forbidden(rule: ForbiddenActionRule, material: Material) -> Finding:
    """Return what comes of a call that must not be made, up to the step that allows it."""
    looking, undecided = Looking(), ""
    violations: list[RuleViolation] = []
    for action in material.actions:
        try:
            if (
                action.tool
                and looking.fullmatch(rule.tool, action.tool)
                and looking.search(rule.arguments, action.all_text)
            ):
                violations.append(violation(rule, action, _short(action)))
        except OverlongError as error:
            undecided = f"{rule.id}: {error}"
        try:
            if rule.unless is not None and looking.search(rule.unless, action.all_text):
                break
        except OverlongError as error:  # whether the later ones are allowed is not known
            undecided = f"{rule.id}: {error}"
            break
    return Finding(violations=tuple(violations), undecided=undecided)


def _short(action: Action) -> str:
    return " ".join(action.all_text.split())[:EVIDENCE_CHARS]
