"""The history of a workspace of a remote home: one git bundle, replaced where nobody was first.

    <home>/agents/<agent_id>/workspace.bundle      every ref, with all that it needs
    <home>/agents/<agent_id>/workspace/evolution/  what lies beside the history

Refs move here first and in storage at once after; whoever finds there that another machine was
faster takes its own move back. A kill between the two leaves a move that storage lacks: the next
writer here makes it there, or, where another machine has moved on meanwhile, keeps it below
refs/undone/ and goes on from what is there.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from grindstone.digest import SHORT, digest
from grindstone.files import write_atomic
from grindstone.remote.mirror import Mirror, mirror_of
from grindstone.remote.store import Version
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.git import BRANCH, EVOLUTION, Repository

BUNDLE = "workspace.bundle"
_KNOWN = "grindstone-remote.json"
_MOVED = ("heads", "tags")


class _Known(NamedTuple):
    """What storage had when this folder was last level with it."""

    e_tag: str
    refs: str


class SharedRepository(Repository):
    """A repository of this machine that is level with the one bundle of all machines."""

    def __init__(self, root: Path, mirror: Mirror) -> None:
        """Take the folder, and the mirror that it is in."""
        super().__init__(root)
        self._mirror = mirror
        self._name = mirror.name_of(root.parent / BUNDLE)

    def begin(self) -> bool:
        """Make the folder from what storage has; return whether it has something."""
        found = self._mirror.store.version(self._name)
        if found is None:
            return False
        parent = self.root.parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetched-", dir=parent) as folder:
            whole = SharedRepository(Path(folder) / self.root.name, self._mirror)
            whole._name = self._name
            whole.root.mkdir()
            whole.init()
            whole._take(found)
            with contextlib.suppress(OSError):  # another process was faster
                whole.root.rename(self.root)
        return True

    def catch_up(self) -> None:
        """Be level with storage."""
        known, found = self._known(), self._mirror.store.version(self._name)
        ahead = known is None or known.refs != self._refs()
        if found is None or (known is not None and found.e_tag == known.e_tag):
            if ahead:
                self._push(found)
        else:
            if ahead:
                self._keep_undone()
            self._take(found)
        self._mirror.pull(self.root / EVOLUTION)

    def share(self, folder: Path) -> None:
        """Put what lies beside the history into storage."""
        self._mirror.push(folder)

    def update_refs(self, updates: Iterable[tuple[str, str, str]]) -> None:
        """Set refs, all or none, here and in storage.

        Raises:
            WorkspaceError: Another machine was faster; this folder is as it was.
        """
        moves = list(updates)
        super().update_refs(moves)
        known = self._known()
        if not self._push(None if known is None else Version(b"", known.e_tag)):
            super().update_refs([(ref, old, new) for ref, new, old in moves])
            raise WorkspaceError(
                f"{self._mirror.store.url}/{self._name}: another machine's change came first, and "
                "this one was taken back"
            )

    def _push(self, over: Version | None) -> bool:
        content, store = whole_bundle(self), self._mirror.store
        if over is None:
            e_tag = store.put_new(self._name, content)
        else:
            e_tag = store.put_over(self._name, content, over.e_tag)
        if e_tag is not None:
            self._note(e_tag)
        return e_tag is not None

    def _take(self, found: Version) -> None:
        _take_bundle(self, found.content)
        self._note(found.e_tag)

    def _keep_undone(self) -> None:
        """Keep what only this folder has, before it goes on from what storage has."""
        head = self.resolve("HEAD")
        self.run("update-ref", f"refs/undone/{head[:SHORT]}", head)

    def _known(self) -> _Known | None:
        path = self.git_dir / _KNOWN
        return _Known(**json.loads(path.read_bytes())) if path.is_file() else None

    def _note(self, e_tag: str) -> None:
        known = _Known(e_tag, self._refs())
        write_atomic(self.git_dir / _KNOWN, json.dumps(known._asdict()))

    def _refs(self) -> str:
        return digest(refs_of_repository(self))


def refs_of_repository(repository: Repository) -> str:
    """Return every ref with what it stands for, a line each: the history by content."""
    return repository.run("for-each-ref", "--format=%(refname) %(objectname)")


def repository_at(root: Path) -> Repository:
    """Return the repository in a workspace folder, which may be that of a remote home."""
    mirror = mirror_of(root)
    return Repository(root) if mirror is None else SharedRepository(root, mirror)


def whole_bundle(repository: Repository) -> bytes:
    """Return a repository's refs and all they need, as one file's content."""
    with tempfile.TemporaryDirectory(prefix="grindstone-bundle-") as folder:
        path = Path(folder) / BUNDLE
        repository.run("bundle", "create", "--quiet", str(path), "--all")
        return path.read_bytes()


def restored(root: Path, bundle: bytes) -> Repository:
    """Return the repository in a folder, made of a bundle or brought to it."""
    repository = Repository(root)
    if not repository.git_dir.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        repository.init()
    _take_bundle(repository, bundle)
    return repository


def _take_bundle(repository: Repository, bundle: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="grindstone-bundle-") as folder:
        path = Path(folder) / BUNDLE
        path.write_bytes(bundle)
        fetch = ("fetch", "--quiet", "--no-write-fetch-head", "--update-head-ok")
        moved = (f"+refs/{kind}/*:refs/{kind}/*" for kind in _MOVED)
        repository.run(*fetch, "--prune", str(path), *moved)
        repository.run(*fetch, str(path), "+refs/undone/*:refs/undone/*")
    repository.run("reset", "--hard", "--quiet", f"refs/heads/{BRANCH}")
