"""Which states of its workspace an agent has come through, the present one first.

A state that was taken back is none of them: where the same content comes again further down
the history, what lies between was undone.
"""

from collections.abc import Iterable, Sequence

from grindstone.home import Home
from grindstone.workspace import Workspace
from grindstone.workspace.git import Repository

MOST = 200
"""States looked back at; the weight of older ones is nothing."""

Lineage = tuple[str, ...]
"""git tree ids, the present one first."""


def lineage_of(home: Home, agent_id: str) -> Lineage:
    """Return an agent's lineage; empty for one without a workspace."""
    folder = home.workspace(agent_id)
    if home.mirror is not None and agent_id in home.agents():
        Workspace.reading(folder)  # brings it here
    if not (folder / ".git").exists():
        return ()
    log = Repository(folder).run("log", "--first-parent", f"-{MOST}", "--format=%T", "HEAD")
    return standing_trees(log.split())


def lineages_of(home: Home, agent_ids: Iterable[str]) -> dict[str, Lineage]:
    """Return the lineages of those agents that have a workspace."""
    found = {name: lineage_of(home, name) for name in agent_ids}
    return {name: trees for name, trees in found.items() if trees}


def standing_trees(trees: Sequence[str]) -> Lineage:
    """Return the states that stand, of all in the history, the newest first."""
    last = {tree: index for index, tree in enumerate(trees)}
    found: list[str] = []
    index = 0
    while index < len(trees):
        found.append(trees[index])
        index = last[trees[index]] + 1
    return tuple(found)
