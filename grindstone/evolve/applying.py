"""Bringing reviewed changes into the workspace, with versions raised, in one commit."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grindstone.skills.format import Skill, parse_skill, raise_version, render
from grindstone.workspace.changes import Change, FileEntry, Files, skill_of
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.history import EvolutionRef
from grindstone.workspace.workspace import Workspace


class Mutations(NamedTuple):
    """Changes by what they concern."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    others: tuple[str, ...]


def with_versions(before: Files, changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return the changes with a version in every new skill, raised where a skill says otherwise.

    A skill in which nothing but the version moved is left as it was.
    """
    kept = [_versioned(each) for each in changes if not _is_main_of_known(each, before)]
    touched = {
        skill
        for change in changes
        if (skill := skill_of(change.path)) is not None and f"skills/{skill}/SKILL.md" in before
    }
    by_path = {change.path: change for change in changes}
    for skill in sorted(touched):
        main = f"skills/{skill}/SKILL.md"
        change = by_path.get(main)
        if change is not None and change.entry is None:
            kept.append(change)
            continue
        entry = change.entry if change is not None and change.entry is not None else before[main]
        old = parse_skill(before[main].content, where=main)
        beside = any(skill_of(path) == skill and path != main for path in by_path)
        raised = _raised(old, parse_skill(entry.content, where=main), beside)
        if raised is not None:
            new = FileEntry(raised.encode(), entry.executable)
            kept.append(Change(main, "changed", new))
    return tuple(sorted(kept, key=lambda change: change.path))


def _versioned(change: Change) -> Change:
    if change.entry is None or not _is_main(change.path):
        return change
    skill = parse_skill(change.entry.content, where=change.path)
    text = render(skill, with_version=True)
    return change._replace(entry=FileEntry(text.encode(), change.entry.executable))


def _is_main_of_known(change: Change, before: Files) -> bool:
    return change.path in before and change.path.endswith("/SKILL.md") and _is_main(change.path)


def _is_main(path: str) -> bool:
    return path == f"skills/{skill_of(path)}/SKILL.md"


def _raised(old: Skill, new: Skill, beside: bool) -> str | None:
    if old.says_the_same(new) and not beside:
        return None
    return render(raise_version(old, new, files_changed=beside))


def mutations(before: Files, changes: Sequence[Change]) -> Mutations:
    """Return which skills were added, changed and removed, and which other files differ."""
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    others = [change.path for change in changes if skill_of(change.path) is None]
    kinds = {change.path: change.kind for change in changes}
    for skill in sorted({name for change in changes if (name := skill_of(change.path))}):
        main = f"skills/{skill}/SKILL.md"
        if main not in before:
            added.append(skill)
        elif kinds.get(main) == "deleted":
            removed.append(skill)
        else:
            changed.append(skill)
    return Mutations(tuple(added), tuple(changed), tuple(removed), tuple(others))


def apply(
    workspace: Workspace,
    *,
    base: str,
    before: Files,
    changes: Sequence[Change],
    number: int | None,
    message: str,
    step: str,
    trailers: Mapping[str, str],
) -> EvolutionRef:
    """Commit the changes as an evolution; all of them or, on any error, none.

    Args:
        workspace: Where.
        base: The commit the evolver's copy was taken from.
        before: The files of that copy.
        changes: What may stand.
        number: The evolution's number, None for the next.
        message: The commit's message.
        step: The run's step.
        trailers: Kept with the commit.

    Raises:
        WorkspaceError: A changed file was changed by someone else since `base`.
    """
    with workspace.writing():
        if workspace.snapshot().commit != base:
            now = workspace.files.entries()
            moved = [each.path for each in changes if now.get(each.path) != before.get(each.path)]
            if moved:
                raise WorkspaceError(
                    f"{workspace.root}: {', '.join(moved)} changed while the evolver worked; "
                    f"expected them as in {base[:12]}"
                )
        workspace.apply(changes)
        return workspace.commit_evolution(number, message, step=step, trailers=trailers)
