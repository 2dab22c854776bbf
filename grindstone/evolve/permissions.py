"""What of the evolver's changes may stand: the rules, applied to what it wrote.

A skill is one thing: when one of its files breaks a rule, all of its changes are refused,
since half a skill is none. Everything else is judged file by file. Reasons are read by the
evolver, so none repeats what it must not know.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from grindstone.base import Frozen
from grindstone.boundary import step_boundary
from grindstone.errors import InternalError
from grindstone.evolve.copying import is_shown
from grindstone.settings import EvolveScope
from grindstone.skills.format import parse_skill, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.unseen import unseen_characters
from grindstone.untrusted import read_json
from grindstone.workspace.changes import (
    Change,
    FileEntry,
    Files,
    compare,
    skill_names,
    skill_of,
)
from grindstone.workspace.files import MEMORIES, MEMORY_KEYS, memory_of
from grindstone.workspace.manifest import Manifest

MAX_JOINED_CHARS = 300_000
_TOGETHER = "all files"
MAX_FILE_BYTES = 200_000
MAX_FILES = 200

ANSWERS_RULE = "no_direct_answers"
"""The one rule whose refusals are made from the tasks' tests."""

Check = Callable[[str, str], Sequence[str]]
"""Given a path and its text, returns what is wrong with it, in sentences that give nothing away."""


UNCHECKED = "could not be checked, and so may not stand"


def reasons_of(check: Check, path: str, text: str) -> Sequence[str]:
    """Return what a check finds wrong with a text; one that breaks over it refuses it."""
    try:
        with step_boundary(f"check of {path}"):
            return check(path, text)
    except InternalError:
        return [UNCHECKED]


class RefusedChange(Frozen):
    """One change that may not stand, and why."""

    path: str
    rule: str
    reason: str


class ChangeReview(NamedTuple):
    """What stands and what does not."""

    accepted: tuple[Change, ...]
    refusals: tuple[RefusedChange, ...]
    undo: tuple[str, ...]  # paths to put back, refused changes and special files


class Checks(NamedTuple):
    """The judgements that need more than the scope: each may be left out."""

    format: Check | None = None  # SKILL.md against the open format
    quality: Check | None = None  # SKILL.md against the quality gate
    leaks: Check | None = None  # any text against what the task is checked for
    whole: Callable[[Sequence[Change]], Sequence[RefusedChange]] | None = (
        None  # all that stands, as one
    )


def review(
    before: Files,
    after: Files,
    scope: EvolveScope,
    *,
    manifest: Manifest,
    checks: Checks = Checks(),
    specials: Sequence[str] = (),
) -> ChangeReview:
    """Judge every change.

    Args:
        before: What the evolver was given.
        after: What it left.
        scope: What it may change, as far as the manifest lets it.
        manifest: The workspace's; its layers limit the scope.
        checks: Format, quality and leak checks; leaks only where the scope asks for it.
        specials: Links and special files found in its copy.
    """
    scope = scope & manifest.evolvable_layers
    changes = compare(before, after)
    if len(after) > len(before) + MAX_FILES:
        reason = f"{len(after)} files where {len(before)} were; at most {MAX_FILES} more"
        undo = (*specials, *(change.path for change in changes))
        return ChangeReview((), (RefusedChange(path=".", rule="max_files", reason=reason),), undo)
    refusals = [
        RefusedChange(path=path, rule="regular_files", reason="is a link or a special file")
        for path in specials
    ]
    spoiled = {_unit(path) for path in specials}
    left = _room(before, scope)
    accepted: list[Change] = []
    undo_paths: list[str] = list(specials)
    units: dict[str, list[Change]] = {}
    for change in changes:
        units.setdefault(_unit(change.path), []).append(change)
    for unit, members in units.items():
        found = [
            refusal
            for change in members
            for refusal in _file_rules(change, scope, manifest, checks)
        ]
        name = skill_of(members[0].path)
        skill = _SkillChange(name, tuple(members), before, after) if name is not None else None
        if skill is not None and not found:
            found = _skill_rules(skill, scope, checks, left)
        if found or unit in spoiled:
            # Where a link took a file's place, what looks deleted was not deleted.
            refusals += found if unit not in spoiled else []
            undo_paths += [change.path for change in members]
            continue
        accepted += members
        if left is not None and skill is not None and skill.is_new:
            left -= 1
    joined = _joined_rule(before, accepted, checks) if scope.no_direct_answers else []
    if joined:
        refusals += joined
        undo_paths += [change.path for change in accepted]
        accepted = []
    again = checks.whole(accepted) if checks.whole is not None else ()
    if again:
        refusals += again
        undo_paths += [change.path for change in accepted]
        accepted = []
    return ChangeReview(tuple(accepted), tuple(refusals), tuple(dict.fromkeys(undo_paths)))


def _joined_rule(before: Files, accepted: Sequence[Change], checks: Checks) -> list[RefusedChange]:
    """Return what files give away together that none of them does alone, or with those kept."""
    changed = {change.path: change.entry for change in accepted if change.entry is not None}
    if not changed or checks.leaks is None or len({*before, *changed}) < 2:
        return []
    reason = ""
    if len(_joined(changed)) > MAX_JOINED_CHARS // 2:
        most = f"{MAX_JOINED_CHARS // 2:,} characters"
        reason = f"with the other changes it is more text than is looked through at once ({most})"
    elif _tell_together(before, changed, checks.leaks):
        reason = "with the other files it holds what the right answer is made of"
    return [
        RefusedChange(path=path, rule=ANSWERS_RULE, reason=reason)
        for path in sorted(changed)
        if reason
    ]


def _tell_together(before: Files, changed: Files, leaks: Check) -> bool:
    """Whether changed files tell something, with each other or with those that stay."""
    kept = {path: entry for path, entry in before.items() if path not in changed}
    for part in _parts(kept, MAX_JOINED_CHARS // 2):
        if not reasons_of(leaks, _TOGETHER, _joined({**part, **changed})):
            continue
        if not reasons_of(leaks, _TOGETHER, _joined(part)):
            return True
        # What was told before hides nothing of what is told now: files that tell by themselves
        # are left out, and where the others still do, the changes are looked at alone.
        quiet = {
            path: entry for path, entry in part.items() if not reasons_of(leaks, path, _text(entry))
        }
        if reasons_of(leaks, _TOGETHER, _joined(quiet)):
            quiet = {}
        if reasons_of(leaks, _TOGETHER, _joined({**quiet, **changed})):
            return True
    return False


def _parts(files: Files, most_chars: int) -> list[Files]:
    """Return files in parts of so many characters each; a longer file is one of its own."""
    parts: list[dict[str, FileEntry]] = [{}]
    size = 0
    for path, entry in sorted(files.items()):
        if parts[-1] and size + len(entry.content) > most_chars:
            parts.append({})
            size = 0
        parts[-1][path] = entry
        size += len(path) + len(entry.content)
    return list(parts)


def _joined(files: Files) -> str:
    return "\n".join(f"{path}\n{_text(entry)}" for path, entry in sorted(files.items()))


def _text(entry: FileEntry) -> str:
    return "" if b"\0" in entry.content else entry.content.decode("utf-8", "replace")


def _unit(path: str) -> str:
    """Return what a path is judged with: its skill's folder, or itself alone."""
    skill = skill_of(path)
    return f"skills/{skill}" if skill is not None else path


def _room(before: Files, scope: EvolveScope) -> int | None:
    """Return how many new skills fit. Deleting one makes no room: a budget is for refining."""
    if scope.max_skills is None:
        return None
    return max(0, scope.max_skills - len(skill_names(before)))


def _file_rules(
    change: Change, scope: EvolveScope, manifest: Manifest, checks: Checks
) -> list[RefusedChange]:
    """Return what is wrong with one file, whatever it belongs to."""
    if _has_odd_name(change.path):
        printable = change.path.encode("utf-8", "backslashreplace").decode()
        reason = "has a name that git or a person could misread"
        return [RefusedChange(path=printable, rule="file_name", reason=reason)]
    misplaced = _place_rule(change, scope, manifest)
    if misplaced is not None:
        rule, reason = misplaced
        return [RefusedChange(path=change.path, rule=rule, reason=reason)]
    if change.entry is None:
        return []
    broken = _content_rule(change.path, change.entry.content, manifest)
    if broken is not None:
        rule, reason = broken
        return [RefusedChange(path=change.path, rule=rule, reason=reason)]
    if scope.no_direct_answers and checks.leaks is not None:
        text = change.entry.content.decode("utf-8")
        found = reasons_of(checks.leaks, change.path, text)
        if not found and (read := _as_read(change.path, text)) != text:
            found = reasons_of(checks.leaks, change.path, read)
        return [
            RefusedChange(path=change.path, rule=ANSWERS_RULE, reason=reason) for reason in found
        ]
    return []


def _has_odd_name(path: str) -> bool:
    """Whether a path is unprintable, or holds what git would take for its own."""
    return (
        not path.isprintable()
        or "\\" in path
        or any(part.lower().startswith(".git") for part in path.split("/"))
    )


def _place_rule(change: Change, scope: EvolveScope, manifest: Manifest) -> tuple[str, str] | None:
    """Return the rule that forbids a change where it is made, with its reason."""
    path = change.path
    layer = manifest.layer_of(path)
    allowed = {
        "skills": scope.evolve_skills,
        "memory": scope.evolve_memory,
        "prompts": scope.evolve_prompts,
        "tools": scope.evolve_tools,
    }
    found: tuple[str, str] | None = None
    if layer is None or not is_shown(path, manifest):
        found = "outside", "lies outside what an evolver may change, whatever the permissions"
    elif layer == "skills" and skill_of(path) is None:
        found = "outside", "is not in a skill's folder"
    elif scope.prompt_only and layer != "prompts":
        found = "prompt_only", "only the system prompt may change in this step"
    elif not allowed[layer]:
        found = f"evolve_{layer}", f"{layer} may not change in this step"
    elif layer == "memory" and change.entry is not None and path != MEMORIES:
        found = "memory_format", f"is read by nobody; what is to be remembered goes to {MEMORIES}"
    elif change.entry is None and layer == "prompts":
        found = "system_prompt", "a prompt may be changed, not deleted"
    return found


def _content_rule(path: str, content: bytes, manifest: Manifest) -> tuple[str, str] | None:
    """Return the rule that a file's content breaks, with its reason."""
    layer = manifest.layer_of(path)
    if len(content) > MAX_FILE_BYTES:
        return "max_file", f"has {len(content)} bytes, more than {MAX_FILE_BYTES}"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "text_only", "is not UTF-8 text"
    if layer == "prompts" and not text.strip():
        return "system_prompt", "is empty"
    if path == MEMORIES and (reason := _unread_memory(text)):
        return "memory_format", reason
    if reasons := unseen_characters(_as_read(path, text)):
        return "hidden_text", "; ".join(reasons)
    return None


def _as_read(path: str, text: str) -> str:
    """Return a file's text with what an agent is shown of it once JSON and YAML are read."""
    if path == f"skills/{skill_of(path)}/SKILL.md":
        try:
            skill = parse_skill(text)
        except SkillError:
            return text
        return "\n".join((text, skill.description, *skill.metadata.values()))
    if path != MEMORIES:
        return text
    rows = [read_json(line) for line in text.split("\n") if line.strip()]
    return "\n".join((text, *(memory_of(row) or "" for row in rows)))


def _unread_memory(text: str) -> str:
    """Say which line no agent would be shown, and why; empty where all would be."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = read_json(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return f"line {number} is not a JSON object"
        if not memory_of(value):
            return f"line {number} has no text under `{MEMORY_KEYS[0]}`: no agent would see it"
    return ""


class _SkillChange(NamedTuple):
    """All changes of one skill."""

    name: str
    members: tuple[Change, ...]
    before: Files
    after: Files

    @property
    def main(self) -> str:
        return f"skills/{self.name}/SKILL.md"

    @property
    def is_new(self) -> bool:
        return self.main not in self.before and self.main in self.after

    @property
    def rewritten(self) -> str | None:
        """SKILL.md's new text, where it changed."""
        changed = [change.entry for change in self.members if change.path == self.main]
        entry = changed[0] if changed else None
        return entry.content.decode("utf-8", errors="replace") if entry is not None else None


def _kept_length(text: str) -> int:
    """Return how long a SKILL.md is once it is kept, its version spelled out."""
    try:
        return len(render(parse_skill(text), with_version=True))
    except SkillError:
        return len(text)


def _skill_rules(
    skill: _SkillChange, scope: EvolveScope, checks: Checks, left: int | None
) -> list[RefusedChange]:
    """Return what is wrong with one skill as a whole; `left` new ones still fit."""
    found: tuple[str, str] | None = None
    text = skill.rewritten
    if skill.main in skill.before and scope.protect_skills:
        found = "protect_skills", "skills that existed before are read-only"
    elif skill.main not in skill.after and any(skill_of(p) == skill.name for p in skill.after):
        found = "skill_format", "is missing while its folder is not empty"
    elif skill.is_new and left == 0:
        found = (
            "max_skills",
            f"the budget of {scope.max_skills} skills is reached; refine a skill that exists",
        )
    elif scope.max_skill_chars and text and (length := _kept_length(text)) > scope.max_skill_chars:
        reason = f"has {length} characters with its version, more than {scope.max_skill_chars}"
        found = "max_skill_chars", reason
    if found is not None:
        return [RefusedChange(path=skill.main, rule=found[0], reason=found[1])]
    for rule, check in (("skill_format", checks.format), ("quality", checks.quality)):
        reasons = reasons_of(check, skill.main, text) if check and text is not None else ()
        if reasons:
            return [RefusedChange(path=skill.main, rule=rule, reason=reason) for reason in reasons]
    return []
