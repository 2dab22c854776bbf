"""The files of a home, for code that need not know whether it is a folder or in object storage."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from grindstone.files import claim, sweep, write_atomic
from grindstone.remote.mirror import mirror_of


class HomeFiles(Protocol):
    """What is done with the files of a home; `Mirror` is one that is in object storage.

    Each verb raises an InfrastructureError where storage does not answer.
    """

    def write(self, path: Path, content: bytes | str) -> None:
        """Write a file whole."""

    def claim(self, path: Path, content: bytes | str) -> bool:
        """Create a file; return False where somebody has, on any machine: then it is theirs."""

    def fetch(self, path: Path) -> bool:
        """Have a file at hand to be read; return False where there is none."""

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""

    def sweep(self, folder: Path, unwanted: Callable[[Path], bool]) -> None:
        """Remove the files of a folder that are unwanted, wherever they are."""


class FolderFiles:
    """The files of a home that is a folder."""

    def write(self, path: Path, content: bytes | str) -> None:
        """Write a file beside its place and rename it there."""
        write_atomic(path, content)

    def claim(self, path: Path, content: bytes | str) -> bool:
        """Create a file; return False where another writer has."""
        return claim(path, content)

    def fetch(self, path: Path) -> bool:
        """Return whether there is a file."""
        return path.exists()

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def sweep(self, folder: Path, unwanted: Callable[[Path], bool]) -> None:
        """Remove the files of a folder that are unwanted."""
        sweep(folder, unwanted)


def files_of(path: Path) -> HomeFiles:
    """Return the files of the home that a path is in."""
    return mirror_of(path) or FolderFiles()
