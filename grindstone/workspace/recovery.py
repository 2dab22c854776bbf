"""Finishing or undoing what a killed writer began, before the workspace is used again."""

from grindstone.workspace.git import BRANCH, Repository

UNDONE = "refs/undone/"
"""Where an uncommitted tree that nobody owns any more is kept, by its tree id."""


def recover(repository: Repository) -> str:
    """Bring a workspace to its last commit; to be called by the one writer.

    An uncommitted change never becomes history. It may also be a person's work, so it is
    kept below refs/undone/ before it leaves the folder.

    Returns:
        The commit that keeps what was there uncommitted; empty where nothing was.
    """
    kept = ""
    repository.drop_stale_locks()
    repository.isolate()
    _finish_refs(repository)
    if repository.dirty():
        kept = set_aside(repository)
    else:
        repository.clean()  # empty folders are no change to git
    repository.catch_up()
    return kept


def make_ready(repository: Repository) -> None:
    """Bring a workspace to its last commit, on whatever machine that was made."""
    if repository.dirty():
        set_aside(repository)
    repository.catch_up()


def set_aside(repository: Repository) -> str:
    """Undo what is not committed, keeping it below refs/undone/ by the commit returned."""
    head = repository.resolve("HEAD")
    tree = repository.stage()
    message = "An uncommitted change, undone before the next writer began"
    kept = repository.commit_tree(tree, head, message, {"Kind": "undone"})
    repository.run("update-ref", f"{UNDONE}{tree}", kept)
    repository.restore()
    return kept


def _finish_refs(repository: Repository) -> None:
    """Complete a set of refs of which only some were written.

    git renames the refs of one update one by one; a kill may fall between two of them.
    """
    head = repository.resolve("HEAD")
    tags = repository.tags()
    for tag, target in tags.items():
        if tag.startswith("evo-") and target != head:
            found = repository.log("-1", target)[0]
            if found.parent == head:
                repository.update_refs([(f"refs/heads/{BRANCH}", target, head)])
                head = target
    known: set[str] = set()
    for commit in repository.log():
        number = commit.trailers.get("evolution", "")
        if not number.isdigit():
            continue
        known.add(number)
        wanted = {f"evo-{number}": commit.commit, f"pre-evo-{number}": commit.parent}
        for tag, target in wanted.items():
            if tag not in tags:
                repository.update_refs([(f"refs/tags/{tag}", target, "")])
    for tag in tags:
        if tag.startswith("pre-evo-") and tag.rpartition("-")[2] not in known:
            repository.run("update-ref", "-d", f"refs/tags/{tag}")
