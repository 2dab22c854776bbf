"""Changes that a gate weighed and rejected: told to the evolver, and not weighed again.

They are read from the workspace's history: a rollback that a gate asked for undid exactly
the change between the commit it restored and the one before it. A change that a later
rollback brought back counts as rejected no longer, and a rejection lapses with what it was
weighed on (`gate_conditions.py`).
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from grindstone.digest import canonical_json, digest
from grindstone.evolve.copying import shown_files
from grindstone.evolve.gate_conditions import GateConditions, changed_since, parse_conditions
from grindstone.evolve.permissions import RefusedChange
from grindstone.evolve.prompts import Observed
from grindstone.observe.observation import LabelledObservation
from grindstone.settings import FeedbackLevel
from grindstone.skills.format import parse_skill
from grindstone.skills.frontmatter import SkillError
from grindstone.workspace.changes import Change, FileEntry, Files, compare, skill_of
from grindstone.workspace.files import WorkspaceFiles
from grindstone.workspace.history import EvolutionRef
from grindstone.workspace.workspace import Workspace

RULE = "rejected_before"
SHOWN = 3
"""The last rejected changes an evolver is shown."""

_REASON = "the same change was weighed on other tasks before, rejected there and undone"
_DIFF_CHARS = 4_000
_TOLD = ("unlabelled", *(level.value for level in FeedbackLevel))  # the less, the earlier


class Rejected(NamedTuple):
    """A change that a gate had undone."""

    identities: frozenset[str]
    diff: str  # unified, cut where it is long
    told: str  # the most that whoever made it was told: unlabelled, or a feedback level
    conditions: GateConditions | None  # None: not known
    lapsed: str  # what has changed since, in words; empty: it holds


def rejected_changes(
    workspace: Workspace, now: GateConditions | None = None
) -> tuple[Rejected, ...]:
    """Return the changes that gates rejected and that are refused still, the first one first.

    Args:
        workspace: Its history tells them.
        now: What a change would be weighed on; None: on nothing.
    """
    return tuple(each for each in _rejected(workspace, now, "HEAD") if not each.lapsed)


def lapsed_rejection(workspace: Workspace, before: str, after: str, now: GateConditions) -> str:
    """Say that a change was rejected before, and what changed since; empty where it was not.

    Args:
        workspace: Its history tells them.
        before: The commit the change was made on.
        after: The commit that made it.
        now: What it is weighed on.
    """
    lapsed = [each for each in _rejected(workspace, now, before) if each.lapsed and each.conditions]
    if not lapsed:
        return ""
    files = _files(workspace, before)
    own = identities(files, compare(files, _files(workspace, after)))
    for each in reversed(lapsed):
        if each.conditions is not None and not own.isdisjoint(each.identities):
            then = each.conditions.run_key
            return f"the same change was rejected in run {then}; since then {each.lapsed}"
    return ""


def _rejected(workspace: Workspace, now: GateConditions | None, base: str) -> list[Rejected]:
    in_force = set(workspace.standing(base))
    present = _files(workspace, base)
    found: list[Rejected] = []
    for ref in workspace.history():
        if not ref.weighed:
            continue
        kept = workspace.standing(ref.restores)
        undone = [number for number in workspace.standing(ref.before) if number not in kept]
        if undone and in_force.issuperset(undone):
            continue
        before, after = _files(workspace, ref.restores), _files(workspace, ref.before)
        changes, conditions = compare(before, after), parse_conditions(ref.weighed)
        found.append(
            Rejected(
                identities=identities(before, changes),
                diff=_diff(before, changes),
                told=_told_to(workspace, undone),
                conditions=conditions,
                lapsed=changed_since(conditions, now, other_library=before != present),
            )
        )
    return found


def shown_diffs(rejected: Iterable[Rejected], observations: Sequence[Observed]) -> tuple[str, ...]:
    """Return the diffs an evolver of some observations may see, the latest last.

    Who made a change may have been told more of the tests than who reads it now may know;
    such a change is left out, and stays refused.
    """
    now = _TOLD.index(told_by(observations))
    fitting = [each.diff for each in rejected if _TOLD.index(each.told) <= now]
    return tuple(dict.fromkeys(fitting))[-SHOWN:]


def told_by(observations: Sequence[Observed]) -> str:
    """Return the most that observations tell of the verdicts: unlabelled, or a level."""
    levels = {
        seen.feedback.level.value if isinstance(seen, LabelledObservation) else "unlabelled"
        for seen in observations
    }
    return max(levels, key=_TOLD.index, default="unlabelled")


def refuses_again(
    rejected: Sequence[Rejected], before: Files
) -> Callable[[Sequence[Change]], Sequence[RefusedChange]]:
    """Return the check that a change, taken as a whole, is none that was rejected before."""
    known = frozenset[str]().union(*(each.identities for each in rejected))

    def check(changes: Sequence[Change]) -> Sequence[RefusedChange]:
        if not changes or known.isdisjoint(identities(before, changes)):
            return ()
        return [RefusedChange(path=each.path, rule=RULE, reason=_REASON) for each in changes]

    return check


def rejected_before(
    workspace: Workspace, texts: Mapping[str, str], now: GateConditions | None
) -> tuple[RefusedChange, ...]:
    """Return the refusals of files that somebody is about to write, by path; none where new.

    Args:
        workspace: Where they are to be written.
        texts: What is to be written.
        now: As in `rejected_changes`.
    """
    rejected = rejected_changes(workspace, now)
    if not rejected or not texts:
        return ()
    before = _files(workspace, "HEAD")
    after = {**before, **{path: FileEntry(text.encode()) for path, text in texts.items()}}
    return tuple(refuses_again(rejected, before)(compare(before, after)))


def identities(before: Files, changes: Sequence[Change]) -> frozenset[str]:
    """Return what makes a change the same as another, with which it shares one of these.

    It is what the files it leaves say. Versions, white space that says nothing and the name of a
    new skill are apart, also where its text speaks of it: by none of them does a rejected change
    become another one, to be weighed until it has luck.
    """
    return frozenset(_identity(before, changes, names=names) for names in (False, True))


def _identity(before: Files, changes: Sequence[Change], *, names: bool) -> str:
    said: list[JsonValue] = []
    for each in changes:
        skill = skill_of(each.path)
        new = skill if skill and f"skills/{skill}/SKILL.md" not in before else None
        now = _said(each.path, each.entry, new, names=names)
        if now != _said(each.path, before.get(each.path), new, names=names):
            said.append([each.path.replace(f"skills/{new}/", "skills/*/", 1), now])
    return digest(sorted(said, key=canonical_json))


def _said(path: str, entry: FileEntry | None, new: str | None, *, names: bool) -> str:
    if entry is None:
        return ""
    if path == f"skills/{skill_of(path)}/SKILL.md":
        try:
            skill = parse_skill(entry.content)
        except SkillError:
            pass
        else:
            words = {"description": _words(skill.description), "body": _words(skill.body)}
            if new is not None:
                if not names:
                    words = {part: text.replace(new, "*") for part, text in words.items()}
                words["name"] = "*"
            return skill.model_copy(update={"version": "", **words}).digest
    lines = (line.rstrip() for line in entry.content.decode("latin-1").split("\n"))
    return digest(["\n".join(line for line in lines if line), entry.executable])


def _words(text: str) -> str:
    return " ".join(text.split())


def _diff(before: Files, changes: Iterable[Change]) -> str:
    lines: list[str] = []
    for each in changes:
        old, new = (
            [] if entry is None else entry.content.decode("utf-8", "replace").splitlines()
            for entry in (before.get(each.path), each.entry)
        )
        names = (f"a/{each.path}", f"b/{each.path}")
        lines += difflib.unified_diff(old, new, *names, lineterm="")
    text = "\n".join(lines)
    return text if len(text) <= _DIFF_CHARS else f"{text[:_DIFF_CHARS]}\n… the rest is left out …"


def _files(workspace: Workspace, commit: str) -> dict[str, FileEntry]:
    return shown_files(WorkspaceFiles(workspace.frozen(commit)))


def _told_to(workspace: Workspace, numbers: Iterable[int]) -> str:
    """Return the most that the makers of some evolutions were told."""
    refs = {ref.number: ref for ref in workspace.evolutions()}
    told = [_told_for(workspace, refs[number]) for number in numbers if number in refs]
    return max(told, key=_TOLD.index, default=_TOLD[-1])


def _told_for(workspace: Workspace, ref: EvolutionRef) -> str:
    try:
        result = json.loads(workspace.repository.log("-1", ref.commit)[0].trailers["result"])
        told = result.get("told", FeedbackLevel.NONE if "promoted" in result else "")
    except (KeyError, ValueError, AttributeError):
        told = ""
    return told if told in _TOLD else _TOLD[-1]
