"""A folder that shows a remote home: what is written goes there first, what lacks comes from there.

The names of the objects are the files' paths below the home.
"""

import contextlib
import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

from grindstone.digest import digest
from grindstone.files import TEMPORARY, claim, sweep, write_atomic
from grindstone.remote.place import shown_in
from grindstone.remote.store import Store, StoredObject

SECOND_NS = 1_000_000_000
PRESSING = timedelta(seconds=10)
"""How long a sign of life is tried again: who waits for it must not wait in vain."""


class Mirror:
    """The folder of this machine for one remote home."""

    def __init__(self, root: Path, address: str) -> None:
        """Take the folder, and the address it shows."""
        self.root = root
        self.store = Store(address)
        self.pressing = Store(address, PRESSING)

    def name_of(self, path: Path) -> str:
        """Return the name of the object that a file of the folder shows."""
        return path.relative_to(self.root).as_posix()

    def get(self, path: Path) -> bytes | None:
        """Return what storage has for a file."""
        return self.store.get(self.name_of(path))

    def write(self, path: Path, content: bytes | str) -> None:
        """Write a file, in storage first."""
        data = content.encode() if isinstance(content, str) else content
        self.store.put(self.name_of(path), data)
        write_atomic(path, data)

    def claim(self, path: Path, content: bytes | str) -> bool:
        """Create a file that nobody has created, on any machine.

        Returns:
            False where somebody has; then the file is theirs.
        """
        data = content.encode() if isinstance(content, str) else content
        if self.store.put_new(self.name_of(path), data) is not None:
            claim(path, data)
            return True
        self.fetch(path)
        return False

    def append(self, path: Path, content: bytes) -> None:
        """Add to the end of what storage has for a file; who adds at the same time adds, too."""
        name = self.name_of(path)
        while True:
            there = self.store.version(name)
            whole = content if there is None else there.content + content
            if there is None:
                written = self.store.put_new(name, whole)
            else:
                written = self.store.put_over(name, whole, there.e_tag)
            if written is not None:
                return
            now = self.store.get(name)  # its answer was lost, and others have added since
            if now is not None and now.startswith(whole):
                return

    def fetch(self, path: Path) -> bool:
        """Bring a file that the folder lacks from storage; return whether it is there now."""
        if path.exists():
            return True
        found = self.get(path)
        if found is None:
            return False
        claim(path, found)
        return True

    def refresh(self, path: Path) -> bool:
        """Have a file be what storage has; return whether it has one."""
        found = self.get(path)
        if found is not None and not (path.is_file() and path.read_bytes() == found):
            write_atomic(path, found)
        return found is not None

    def remove(self, path: Path) -> None:
        """Remove a file here and in storage."""
        self.store.delete(self.name_of(path))
        path.unlink(missing_ok=True)

    def sweep(self, folder: Path, unwanted: Callable[[Path], bool]) -> None:
        """Remove the files of a folder that are unwanted, here and in storage."""
        there = [entry.name for entry in self.store.listed(self.name_of(folder))]
        self.store.delete_all([name for name in there if unwanted(self.root / name)])
        sweep(folder, unwanted)

    def pull(self, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> set[Path]:
        """Bring what storage has below a folder: files that are not here, or changed there since.

        Args:
            folder: Of the home.
            wanted: Whether a file is, by its path below the folder.

        Returns:
            All files that storage has there.
        """
        start = self.name_of(folder)
        ages, there = {}, set()
        for entry in self.store.listed(start):
            there.add(self.root / entry.name)
            path = self.root / entry.name
            if not wanted(entry.name.removeprefix(f"{start}/")):
                continue
            if not path.is_file() or _changed_since(path, entry):
                ages[entry.name] = _level_ns(entry)
        for name, content in self.store.get_all(list(ages)):
            if content is not None:
                write_atomic(self.root / name, content)
                os.utime(self.root / name, ns=(ages[name], ages[name]))
        return there

    def level(self, folder: Path) -> None:
        """Have a folder be what storage has: what was removed there goes here, too."""
        here = {path for path in folder.rglob("*") if path.is_file()}  # before others bring more
        there = self.pull(folder)
        for path in here - there:
            if not path.name.startswith(TEMPORARY):  # else another process is about to write it
                path.unlink(missing_ok=True)
        if not there:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def push(self, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> None:
        """Put into storage what a folder has; arguments as `pull`.

        Each file then has the age that storage says, whose clock alone tells `pull` what changed.
        """
        written: dict[str, tuple[str, os.stat_result]] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and wanted(path.relative_to(folder).as_posix()):
                before, name = path.stat(), self.name_of(path)
                written[name] = (self.store.put(name, path.read_bytes()), before)
        for entry in self.store.listed(self.name_of(folder)) if written else ():
            path = self.root / entry.name
            if entry.name in written:
                tag, before = written[entry.name]
                if tag == entry.tag and _is_still(path, before):
                    os.utime(path, ns=(_level_ns(entry), _level_ns(entry)))


def _level_ns(entry: StoredObject) -> int:
    """Return the age of a file that is what storage has.

    Storage may count in whole seconds, so what a second has besides tells the versions in it apart.
    """
    return entry.modified_ns + int(digest(entry.tag)[:8], 16) % SECOND_NS


def _changed_since(path: Path, entry: StoredObject) -> bool:
    """Tell whether storage has another version; a file that was written here since is kept."""
    here = path.stat().st_mtime_ns
    return here != _level_ns(entry) and here < entry.modified_ns + SECOND_NS


def _is_still(path: Path, before: os.stat_result) -> bool:
    with contextlib.suppress(FileNotFoundError):
        now = path.stat()
        return (now.st_mtime_ns, now.st_size) == (before.st_mtime_ns, before.st_size)
    return False


@cache
def _mirror(root: Path, address: str) -> Mirror:
    return Mirror(root, address)


def mirror_of(path: Path, *, above: bool = True) -> Mirror | None:
    """Return the mirror that a path is in; None where it is in a home of its own.

    Args:
        path: A home's folder, or what is in it.
        above: False where it is the home's folder itself.
    """
    for folder in (path, *(path.parents if above else ())):
        address = shown_in(folder)
        if address is not None:
            return _mirror(folder, address)
    return None
