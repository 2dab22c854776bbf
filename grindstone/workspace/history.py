"""What the commits of a workspace say: its evolutions, its rollbacks, and what is in force."""

from collections.abc import Collection, Iterable, Mapping

from pydantic import AwareDatetime, Field

from grindstone.base import Frozen
from grindstone.workspace.git import Commit, Repository, number_of


class EvolutionRef(Frozen):
    """One commit of the history."""

    kind: str = Field("", description="seed, evolution, change or rollback.")
    number: int | None = Field(None, description="Of an evolution; None for other commits.")
    commit: str
    before: str = Field("", description="The commit it was made on.")
    tree: str
    step: str = Field("", description="The run's step that made it.")
    message: str = Field("", description="The first line.")
    changed: bool = Field(True, description="Whether any tracked file differs from before.")
    rejected: bool = Field(
        False, description="Whether a rollback undid it, and none since has not."
    )
    restores: str = Field("", description="Of a rollback: the commit whose files it restored.")
    weighed: str = Field(
        "", description="Of a rollback that a gate decided: what it weighed on, as it told it."
    )
    at: AwareDatetime


def refs_of(repository: Repository, commits: Iterable[Commit]) -> list[EvolutionRef]:
    """Return what is known of some commits, in their order."""
    commits = list(commits)
    tags = repository.tags()
    trees = {commit.commit: commit.tree for commit in commits}
    refs: list[EvolutionRef] = []
    for commit in commits:
        number = commit.trailers.get("evolution", "")
        before = trees.get(commit.parent, "")
        if commit.parent and not before:
            before = repository.tree_of(commit.parent)
        refs.append(
            EvolutionRef(
                kind=commit.trailers.get("kind", ""),
                number=number_of(number),
                commit=commit.commit,
                before=commit.parent,
                tree=commit.tree,
                step=commit.trailers.get("step", ""),
                message=commit.subject,
                changed=before != commit.tree,
                rejected=f"rejected-evo-{number}" in tags,
                restores=commit.trailers.get("restores", ""),
                weighed=commit.trailers.get("weighed", ""),
                at=commit.at,
            )
        )
    return refs


def standing_after(commits: Iterable[Commit]) -> dict[str, tuple[int, ...]]:
    """Return, for every commit of a log (newest first), the evolutions in force after it."""
    found: dict[str, tuple[int, ...]] = {}
    for commit in reversed(list(commits)):
        number = commit.trailers.get("evolution", "")
        # A rollback has what was in force at the commit whose files it restored.
        origin = commit.trailers.get("restores", commit.parent)
        own = number_of(number)
        found[commit.commit] = found.get(origin, ()) + (() if own is None else (own,))
    return found


def rejections(
    tags: Mapping[str, str], *, before: Iterable[int], now: Collection[int]
) -> list[tuple[str, str, str]]:
    """Return the updates of refs that make the tags rejected-evo-N true after a rollback.

    Args:
        tags: Every tag and its commit.
        before: The evolutions that were in force.
        now: Those that are.
    """
    made = [
        (f"refs/tags/rejected-evo-{number}", tags[f"evo-{number}"], "")
        for number in before
        if number not in now and f"rejected-evo-{number}" not in tags
    ]
    gone = [
        (f"refs/tags/rejected-evo-{number}", "", tags[f"rejected-evo-{number}"])
        for number in now
        if f"rejected-evo-{number}" in tags
    ]
    return made + gone
