"""A commit's files in a folder, without moving the workspace to it."""

import tempfile
from pathlib import Path

from backports import tarfile

from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.git import Repository


def materialise(repository: Repository, commit: str, target: Path) -> None:
    """Write a commit's files to a folder that is absent or empty, all of them or none.

    Raises:
        WorkspaceError: There is no such commit, or the folder holds something.
    """
    found = repository.resolve(commit)
    if target.exists() and any(target.iterdir()):
        raise WorkspaceError(f"{target}: is not empty; expected a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as work:
        archive = Path(work) / "commit.tar"
        repository.run("archive", "--format=tar", f"--output={archive}", found)
        with tarfile.open(archive) as tar:
            tar.extractall(Path(work) / "files", filter="data")
        (Path(work) / "files").mkdir(exist_ok=True)
        (Path(work) / "files").replace(target)


def frozen(repository: Repository, commit: str, store: Path) -> Path:
    """Return a folder with a commit's files, shared by all who ask for that content.

    Args:
        repository: The workspace's.
        commit: A tag or id.
        store: Where such folders are kept, each by its git tree.

    Raises:
        WorkspaceError: There is no such commit.
    """
    target = store / repository.tree_of(repository.resolve(commit))
    while not target.is_dir():
        try:
            materialise(repository, commit, target)
        except (OSError, WorkspaceError):
            if not target.is_dir():  # else another reader was faster
                raise
    return target
