"""Finishing or undoing what a killed writer began, before the workspace is used again."""

import os
from pathlib import PurePosixPath

from grindstone.errors import InputError
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.git import BRANCH, EVOLUTION, Repository, number_of

UNDONE = "refs/undone/"
"""Where an uncommitted tree that nobody owns any more is kept, by its tree id."""


def recover(repository: Repository) -> str:
    """Bring a workspace to its last commit; to be called by the one writer.

    An uncommitted change never becomes history. It may also be a person's work, so it is
    kept below refs/undone/ before it leaves the folder.

    Returns:
        The commit that keeps what was there uncommitted; empty where nothing was.

    Raises:
        InputError: It is on another branch than its history, holds what no run could carry, or
            a repository of its own that would be lost.
    """
    kept = ""
    repository.isolate()
    repository.drop_stale_locks()
    _attach(repository)
    _finish_refs(repository)
    _check_tree(repository)
    _mend_index(repository)
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
    """Undo what is not committed, keeping it below refs/undone/ by the commit returned.

    Raises:
        InputError: A repository lies in it, of which git would keep a commit's name alone.
    """
    _check_repositories(repository)
    head = repository.resolve("HEAD")
    tree = repository.stage()
    message = "An uncommitted change, undone before the next writer began"
    kept = repository.commit_tree(tree, head, message, {"Kind": "undone"})
    repository.run("update-ref", f"{UNDONE}{tree}", kept)
    repository.restore()
    return kept


def _attach(repository: Repository) -> None:
    """See to it that HEAD is the branch of the history, where a person left it elsewhere."""
    ref = f"refs/heads/{BRANCH}"
    on = (repository.git_dir / "HEAD").read_text(encoding="utf-8", errors="replace").strip()
    if on == f"ref: {ref}" and repository.has(ref):
        return
    if not on.startswith("ref: ") and repository.has(ref) and on == repository.resolve(ref):
        repository.run("symbolic-ref", "HEAD", ref)
        return
    branch = on.removeprefix("ref: refs/heads/")
    problem = f"is on the branch {branch}" if branch != on else f"is at {on[:12]}, on no branch"
    expected = f"the branch {BRANCH}, which holds its history: git switch {BRANCH}"
    raise InputError(str(repository.root), problem, expected)


def _mend_index(repository: Repository) -> None:
    """Make the index anew where it cannot be read: it holds nothing that a commit does not."""
    try:
        repository.run("ls-files", "--error-unmatch", "--", "manifest.yaml")
    except WorkspaceError:
        (repository.git_dir / "index").unlink(missing_ok=True)
        repository.run("read-tree", "HEAD")


def _check_tree(repository: Repository) -> None:
    for path, entry in repository.entries("HEAD").items():
        problem = ""
        if not _is_text(path):
            problem = "has a name that is not UTF-8"
        elif entry.is_repository:
            problem = "is a repository of its own, of whose files none is in the history"
        elif entry.is_link and _leads_out(path, repository.run("cat-file", "blob", entry.blob)):
            problem = "is a link that leads out of the workspace"
        if problem:
            named = path.encode("utf-8", "backslashreplace").decode()
            expected = f"a file, or none (below {repository.root})"
            raise InputError(named, problem, expected)


def _is_text(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _leads_out(path: str, target: str) -> bool:
    joined = os.path.normpath(PurePosixPath(path).parent / target)
    return target.startswith("/") or joined == ".." or joined.startswith("../")


def _check_repositories(repository: Repository) -> None:
    for folder, folders, files in os.walk(repository.root):
        if folder == str(repository.root):
            folders[:] = [name for name in folders if name not in (".git", EVOLUTION)]
        elif ".git" in (*folders, *files):
            problem = "is a repository of its own, and not in the workspace's history"
            expected = (
                "another place for it: what is uncommitted is set aside, and it would be lost"
            )
            raise InputError(folder, problem, expected)


def _finish_refs(repository: Repository) -> None:
    """Complete a set of refs of which only some were written.

    git renames the refs of one update one by one; a kill may fall between two of them.
    """
    head = repository.resolve("HEAD")
    tags = repository.tags()
    for tag, target in tags.items():
        if tag.startswith("evo-") and target != head:
            found = repository.log("-1", target)  # none, where a person tagged something else
            if found and found[0].parent == head:
                repository.update_refs([(f"refs/heads/{BRANCH}", target, head)])
                head = target
    known: set[str] = set()
    for commit in repository.log():
        number = commit.trailers.get("evolution", "")
        if number_of(number) is None:
            continue
        known.add(number)
        wanted = {f"evo-{number}": commit.commit, f"pre-evo-{number}": commit.parent}
        for tag, target in wanted.items():
            if tag not in tags:
                repository.update_refs([(f"refs/tags/{tag}", target, "")])
    for tag in tags:
        if tag.startswith("pre-evo-") and tag.rpartition("-")[2] not in known:
            repository.run("update-ref", "-d", f"refs/tags/{tag}")
