"""git, as the workspace uses it.

No configuration, hook or filter from outside, and no error that passes for success.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from grindstone.errors import InputError
from grindstone.workspace.errors import WorkspaceError

if TYPE_CHECKING:
    from git import Git

BRANCH = "main"
EVOLUTION = "evolution"
"""The folder beside the history: ignored by git, untouched by a rollback."""

TRAILER = "Grindstone-"
_ATTRIBUTES = "* -text -eol -filter -ident -working-tree-encoding -export-ignore -export-subst\n"
_CONFIG = {
    "core.autocrlf": "false",
    "core.fsmonitor": "false",
    "core.fsync": "committed,reference",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "core.sparseCheckout": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "gc.auto": "0",
    "init.defaultBranch": BRANCH,
    "log.showSignature": "false",
    "safe.directory": "*",
    "submodule.recurse": "false",
}
_NO_PROGRAMS = ("--no-ext-diff", "--no-textconv")
"""Of what shows differences: a history names programs for it in its configuration."""


class Commit(NamedTuple):
    """One commit of the history and what its trailers say."""

    commit: str
    parent: str
    tree: str
    at: datetime
    subject: str
    trailers: Mapping[str, str]  # by lower-case name without the prefix


class TreeEntry(NamedTuple):
    """One file of a commit."""

    path: str
    blob: str
    mode: str

    @property
    def executable(self) -> bool:
        """Whether it is a file that may be run."""
        return self.mode == "100755"

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link; its blob is what it leads to."""
        return self.mode == "120000"

    @property
    def is_repository(self) -> bool:
        """Whether a commit of another repository stands there, which holds none of its files."""
        return self.mode == "160000"


def number_of(text: str) -> int | None:
    """Return the number that a tag or a trailer spells as this program does, None for others."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


class Repository:
    """The git repository in a workspace folder."""

    def __init__(self, root: Path) -> None:
        """Take the folder that holds, or will hold, `.git`."""
        self.root = root
        self.git_dir = root / ".git"
        self._trees: dict[str, str] = {}  # of commits asked for before; they stay the same

    def init(self) -> None:
        """Make an empty repository."""
        self.run("init", "--quiet", "--template=", f"--initial-branch={BRANCH}")
        self.isolate()

    def begin(self) -> bool:
        """Make the folder from what is elsewhere; return whether there is something."""
        return False

    def catch_up(self) -> None:
        """Be level with what is elsewhere, if anything is."""

    def share(self, folder: Path) -> None:
        """Have others see what lies beside the history, if there are others."""

    def isolate(self) -> None:
        """Switch off what a tracked .gitattributes or .gitignore would do.

        Raises:
            InputError: Something in the history's own folder is a link: what is written to it, or
                removed from it, would be elsewhere.
        """
        info = self.git_dir / "info"
        for path in (self.git_dir, *self.git_dir.glob("*"), *info.glob("*")):
            if path.is_symlink():
                raise InputError(str(path), "is a link", "a history that lies in its own folder")
        info.mkdir(exist_ok=True)
        for name, content in (("attributes", _ATTRIBUTES), ("exclude", f"/{EVOLUTION}/\n")):
            path = info / name
            if not path.is_file() or path.read_text() != content:
                path.write_text(content)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run git and return its standard output.

        Raises:
            WorkspaceError: git failed; the message holds what it wrote.
        """
        from git.exc import GitCommandError, GitCommandNotFound

        name, *rest = arguments
        plain = _NO_PROGRAMS if name in ("diff", "show") else ()
        command = ["git", name, *plain, *rest]
        # A fetch is of a bundle, which is a file; nothing else reaches further than the folder.
        reach = {"GIT_ALLOW_PROTOCOL": "file" if name == "fetch" else "none"}
        try:
            with tempfile.TemporaryFile() as given:
                given.write((stdin or "").encode())
                given.seek(0)
                output = self._git.execute(
                    command,
                    istream=given,
                    env=self._environment | reach,
                    strip_newline_in_stdout=False,
                )
        except GitCommandNotFound as error:
            raise WorkspaceError("git: is not installed; expected git on the PATH") from error
        except GitCommandError as error:
            wrote = str(error.stderr or error.stdout or "nothing").strip()
            what = " ".join(arguments[:2])
            raise WorkspaceError(
                f"{self.root}: git {what} failed with {error.status}: {wrote}"
            ) from error
        return str(output)

    def resolve(self, name: str) -> str:
        """Return the commit a tag, branch or id stands for.

        Raises:
            WorkspaceError: There is none.
        """
        if not name or name.startswith("-"):
            raise WorkspaceError(f"{self.root}: {name!r} is no commit; expected a tag or an id")
        if name in self._trees:
            return name
        return self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()

    def has(self, ref: str) -> bool:
        """Whether there is a ref of that full name."""
        return bool(self.run("for-each-ref", "--format=%(refname)", ref).strip())

    def tree_of(self, commit: str) -> str:
        """Return the tree of a commit; both are whole ids."""
        if commit not in self._trees:
            found = self.run("rev-parse", "--verify", f"{commit}^{{tree}}").strip()
            self._trees[commit] = found
        return self._trees[commit]

    def tags(self) -> dict[str, str]:
        """Return every tag and the commit it stands for."""
        lines = self.run(
            "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/tags"
        ).splitlines()
        return dict(line.rsplit(" ", 1) for line in lines)

    def log(self, *revisions: str, path: str = "") -> tuple[Commit, ...]:
        """Return commits, the newest first; with a path those alone that changed it."""
        output = self.run(
            "log",
            "--topo-order",
            f"--format={'%x00'.join(_FIELDS)}%x00",  # no commit holds a NUL
            *(revisions or ("HEAD",)),
            *("--", f":(literal){path}")[: 2 if path else 1],
        )
        told = output.split("\0")[:-1]
        width = len(_FIELDS)
        return tuple(_commit(told[at : at + width]) for at in range(0, len(told), width))

    def entries(self, commit: str) -> dict[str, TreeEntry]:
        """Return a commit's files by path."""
        found: dict[str, TreeEntry] = {}
        for record in self.run("ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
            if record:
                head, path = record.split("\t", 1)
                mode, _, blob = head.split(" ")
                found[path] = TreeEntry(path, blob, mode)
        return found

    def dirty(self) -> bool:
        """Whether the work tree differs from the last commit, ignored files counted."""
        status = ("status", "--porcelain", "--ignored", "-uall")
        return bool(self.run(*status, "--", ".", f":(exclude,top){EVOLUTION}").strip())

    def restore(self) -> None:
        """Make the work tree what the last commit holds; evolution/ stays."""
        self.run("reset", "--hard", "--quiet", "HEAD")
        self.clean()

    def clean(self) -> None:
        """Remove what is not tracked, empty folders too; evolution/ stays."""
        self.run("clean", "-ffdxq", "-e", f"/{EVOLUTION}/")

    def stage(self) -> str:
        """Take the whole work tree into the index and return its tree id."""
        self.run("add", "--all", "--force", "--", ".", f":(exclude,top){EVOLUTION}")
        return self.run("write-tree").strip()

    def commit_tree(
        self, tree: str, parent: str | None, message: str, trailers: Mapping[str, str]
    ) -> str:
        """Make a commit that no ref knows yet and return its id."""
        lines = [f"{TRAILER}{name}: {_one_line(value)}" for name, value in trailers.items()]
        text = f"{message.replace(chr(0), '').strip() or 'Change'}\n\n" + "\n".join(lines) + "\n"
        parents = ("-p", parent) if parent else ()
        return self.run("commit-tree", tree, *parents, "-F", "-", stdin=text).strip()

    def update_refs(self, updates: Iterable[tuple[str, str, str]]) -> None:
        """Set refs, all or none.

        Args:
            updates: (full ref name, new id or '' to delete the ref, old id or '' where the
                ref must not exist).
        """
        zero = "0" * 40
        lines = [
            f"update {ref} {new} {old or zero}\n" if new else f"delete {ref} {old}\n"
            for ref, new, old in updates
        ]
        self.run("update-ref", "--stdin", stdin="".join(lines))

    def drop_stale_locks(self) -> None:
        """Remove the lock files of a git that was killed; only for the one writer."""
        for pattern in ("*.lock", "refs/**/*.lock"):
            for path in self.git_dir.glob(pattern):
                if path.name != LOCK:
                    path.unlink(missing_ok=True)

    @cached_property
    def _git(self) -> "Git":
        from git import Git

        return Git(self.root)

    @property
    def _environment(self) -> dict[str, str]:
        """Set, not merged: a git hook's or a user's GIT_… must not lead elsewhere."""
        git_dir = str(self.git_dir)
        environment = {
            "GIT_DIR": git_dir,
            "GIT_COMMON_DIR": git_dir,
            "GIT_WORK_TREE": str(self.root),
            "GIT_INDEX_FILE": str(self.git_dir / "index"),
            "GIT_OBJECT_DIRECTORY": str(self.git_dir / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
            "GIT_NAMESPACE": "",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_PARAMETERS": "",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "0",
            "GIT_AUTHOR_NAME": "Grindstone",
            "GIT_AUTHOR_EMAIL": "grindstone@localhost",
            "GIT_COMMITTER_NAME": "Grindstone",
            "GIT_COMMITTER_EMAIL": "grindstone@localhost",
            "LC_ALL": "C",
            "GIT_CONFIG_COUNT": str(len(_CONFIG)),
        }
        for at, (key, value) in enumerate(_CONFIG.items()):
            environment[f"GIT_CONFIG_KEY_{at}"] = key
            environment[f"GIT_CONFIG_VALUE_{at}"] = value
        return environment


LOCK = "grindstone.lock"
"""Inside .git: who holds it is the writer."""


_FIELDS = ("%H", "%P", "%T", "%cI", "%s", "%(trailers:only,unfold)")


def _commit(told: Sequence[str]) -> Commit:
    commit, parents, tree, at, subject, trailer_text = told
    trailers: dict[str, str] = {}
    for line in trailer_text.splitlines():
        name, _, value = line.partition(":")
        if name.lower().startswith(TRAILER.lower()):
            trailers[name[len(TRAILER) :].lower()] = value.strip()
    return Commit(
        commit.strip(), parents.split(" ")[0], tree, datetime.fromisoformat(at), subject, trailers
    )


def _one_line(value: str) -> str:
    return " ".join(value.replace("\0", "").split())
