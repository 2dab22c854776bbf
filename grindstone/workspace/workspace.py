"""An agent on disk: its prompt, skills and memory, with a git history of every evolution.

The history is one line of commits on `main`; nothing in it is ever rewritten. Evolution N
is the commit tagged evo-N, and what was there before it is tagged pre-evo-N. A rollback
is a new commit with an old tree; rejected-evo-N tags the evolutions that are no longer in
force, and goes when a later rollback brings one back. Each commit's trailers name the step
of the run that made it, so a resumed run finds what it did.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import Field, JsonValue

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.skills.library import SkillLibrary
from grindstone.workspace import observations
from grindstone.workspace.changes import Change, apply_changes, read_folder
from grindstone.workspace.checkout import frozen, materialise
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.files import WorkspaceFiles
from grindstone.workspace.git import BRANCH, EVOLUTION, LOCK, Commit, number_of
from grindstone.workspace.history import EvolutionRef, refs_of, rejections, standing_after
from grindstone.workspace.lock import WriterLock
from grindstone.workspace.manifest import read_manifest
from grindstone.workspace.recovery import make_ready, recover
from grindstone.workspace.seed import copy_seed, seed_entries
from grindstone.workspace.shared import repository_at

SEED_TAG = "seed"
HEAD_REF = f"refs/heads/{BRANCH}"


class Snapshot(Frozen):
    """The workspace at a commit."""

    commit: str
    tree: str = Field(description="git tree id: the workspace by content.")
    skills_digest: str = Field(description="Over the general skills' folders, drafts apart.")


class Workspace:
    """An agent's folder. Any number may read it; writers wait for each other."""

    def __init__(self, root: Path) -> None:
        """Use `create` or `open`, which check the folder."""
        self.root = root.absolute()
        self.repository = repository_at(self.root)
        self.library = SkillLibrary(self.root)
        self.set_aside = ""  # the commit of what lay uncommitted when it was opened
        self._lock = WriterLock(self.repository.git_dir / LOCK)

    @classmethod
    def create(cls, root: Path, seed: Path, *, chosen: bool = False) -> Self:
        """Return the workspace at `root`, copied from the seed if there is none yet.

        Args:
            root: Where it is, or will be.
            seed: What it is copied from.
            chosen: The seed is a user's choice and no default: a workspace that began as
                something else is refused, since the choice could have no effect.

        Raises:
            InputError: The seed is no workspace, or `root` holds something else.
        """
        root = root.absolute()
        root.parent.mkdir(parents=True, exist_ok=True)
        with WriterLock(root.parent / f".{root.name}.lock").hold():
            if (root / ".git").is_dir() or cls(root).repository.begin():
                workspace = cls.open(root)
                if chosen:
                    workspace.check_seed(seed)
                return workspace
            if root.exists() and any(root.iterdir()):
                raise InputError(str(root), "is not empty and no workspace", "a new folder")
            read_manifest(seed)
            unfinished = root.parent / f".{root.name}.new"
            shutil.rmtree(unfinished, ignore_errors=True)
            copy_seed(seed, unfinished)
            made = cls(unfinished)
            made.repository.init()
            tree = made.repository.stage()
            message = f"Start from the seed workspace {seed.name}"
            commit = made.repository.commit_tree(tree, None, message, {"Kind": "seed"})
            made.repository.update_refs(
                [(HEAD_REF, commit, ""), (f"refs/tags/{SEED_TAG}", commit, "")]
            )
            unfinished.replace(root)
        return cls.open(root)

    @classmethod
    def open(cls, root: Path) -> Self:
        """Return the workspace at `root`, cleared of what a killed writer left.

        Raises:
            InputError: There is no workspace, its manifest is wrong, or a person left it in a
                state that no run could go on from.
            WorkspaceError: Its history cannot be read.
        """
        workspace = cls.reading(root)
        with workspace._lock.hold():
            workspace.set_aside = recover(workspace.repository)
        read_manifest(workspace.root)
        return workspace

    @classmethod
    def reading(cls, root: Path) -> Self:
        """Return the workspace at `root` for who only reads: no writer is waited for.

        Raises:
            InputError: There is no workspace.
        """
        workspace = cls(root)
        if not (root / ".git").is_dir() and not workspace.repository.begin():
            raise InputError(str(root), "is not a workspace", "a folder made by Workspace.create")
        return workspace

    def check_seed(self, seed: Path) -> None:
        """Check that the workspace began as a seed is now.

        Raises:
            InputError: The seed is no workspace, or differs from what was copied.
        """
        read_manifest(seed)
        with tempfile.TemporaryDirectory(prefix="grindstone-seed-") as folder:
            began = Path(folder) / "seed"
            self.materialise(SEED_TAG, began)
            same = seed_entries(seed) == read_folder(began)
        if not same:
            raise InputError(
                "seed_workspace",
                f"{seed} is not what the workspace {self.root} was made from, and would be ignored",
                "another agent_id, or no seed_workspace to go on with this agent",
            )

    @property
    def files(self) -> WorkspaceFiles:
        """What the workspace holds now, committed or not."""
        return WorkspaceFiles(self.root)

    @property
    def evolution_dir(self) -> Path:
        """The folder of observations; outside the history."""
        return self.root / EVOLUTION

    def snapshot(self, commit: str = "HEAD") -> Snapshot:
        """Return what identifies the workspace at a commit, the last one by default."""
        found = self.repository.resolve(commit)
        skills = {
            entry.path: f"{entry.blob}{'x' * entry.executable}"
            for entry in self.repository.entries(found).values()
            if entry.path.startswith("skills/") and not entry.path.startswith("skills/_")
        }
        return Snapshot(
            commit=found,
            tree=self.repository.tree_of(found),
            skills_digest=digest(dict(skills)),
        )

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Be the one writer; gives the root.

        What is not committed when the block ends, by an error or not, is undone. What lay
        uncommitted before it began is set aside below refs/undone/.

        Raises:
            WorkspaceError: The block ended in order but left a change uncommitted.
        """
        with self._lock.hold() as outermost:
            if outermost:
                make_ready(self.repository)
            try:
                yield self.root
            except BaseException:
                if outermost:
                    self.repository.restore()
                raise
            if outermost and self.repository.dirty():
                self.repository.restore()
                raise WorkspaceError(f"{self.root}: a change was not committed, and was undone")

    def commit(
        self, message: str, *, step: str = "", trailers: Mapping[str, str] | None = None
    ) -> EvolutionRef | None:
        """Commit what `writing` changed, without a number: drafts, task skills.

        A step that was committed before is returned as it was, and what was changed is undone.

        Returns:
            None where nothing changed; then no commit is made.
        """
        with self._lock.hold():
            if step and (done := self.find_step(step)) is not None:
                self.repository.restore()
                return done
            head = self.repository.resolve("HEAD")
            tree = self.repository.stage()
            if tree == self.repository.tree_of(head):
                return None
            given = _trailers("change", step, trailers)
            commit = self.repository.commit_tree(tree, head, message, given)
            self.repository.update_refs([(HEAD_REF, commit, head)])
            return self._refs(self.repository.log("-1", commit))[0]

    def commit_evolution(
        self,
        number: int | None,
        message: str,
        *,
        step: str = "",
        trailers: Mapping[str, str] | None = None,
    ) -> EvolutionRef:
        """Commit what `writing` changed as evolution `number`, and tag it.

        An evolution that changed nothing is a commit too: the number and the step are used.
        A step that was committed before is returned as it was, and what was changed is undone.

        Args:
            number: None takes the next free one.
            message: What changed and why.
            step: `<run_key>/<step>`, the same when the run is resumed.
            trailers: More to keep with the commit, by name.

        Raises:
            WorkspaceError: The number is taken.
        """
        with self._lock.hold():
            if step and (done := self.find_step(step)) is not None:
                self.repository.restore()
                return done
            chosen = self.next_number() if number is None else number
            if chosen < 1 or f"evo-{chosen}" in self.repository.tags():
                raise WorkspaceError(
                    f"{self.root}: evolution number {chosen} is taken; "
                    f"expected {self.next_number()} or more"
                )
            head = self.repository.resolve("HEAD")
            tree = self.repository.stage()
            given = _trailers("evolution", step, {"Evolution": str(chosen), **(trailers or {})})
            commit = self.repository.commit_tree(tree, head, message, given)
            self.repository.update_refs(
                [
                    (f"refs/tags/pre-evo-{chosen}", head, ""),
                    (f"refs/tags/evo-{chosen}", commit, ""),
                    (HEAD_REF, commit, head),
                ]
            )
            return self._refs(self.repository.log("-1", commit))[0]

    def rollback(
        self, to: str, *, reason: str = "", step: str = "", weighed: str = ""
    ) -> EvolutionRef:
        """Restore the tracked files of a commit, by a new commit; evolution/ stays.

        Args:
            to: A tag such as pre-evo-3, or a commit id.
            reason: Goes into the message.
            step: As in `commit_evolution`: done before, it is not done again.
            weighed: What a gate that asks for it weighed on, in one line; empty: no gate does.

        Returns:
            The new commit. Evolutions it undoes are tagged rejected-evo-N; those it brings
            back lose that tag.

        Raises:
            WorkspaceError: There is no such commit.
        """
        with self._lock.hold():
            if step and (done := self.find_step(step)) is not None:
                return done
            target = self.repository.resolve(to)
            self.repository.restore()
            head = self.repository.resolve("HEAD")
            standing = standing_after(self.repository.log(head, target))
            tree = self.repository.tree_of(target)
            message = f"Roll back to {to}" + (f"\n\n{reason}" if reason else "")
            more = {"Restores": target} | ({"Weighed": weighed} if weighed else {})
            commit = self.repository.commit_tree(
                tree, head, message, _trailers("rollback", step, more)
            )
            tags = self.repository.tags()
            moved = rejections(tags, before=standing[head], now=standing[target])
            self.repository.update_refs([*moved, (HEAD_REF, commit, head)])
            self.repository.restore()
            return self._refs(self.repository.log("-1", commit))[0]

    def standing(self, commit: str = "HEAD") -> tuple[int, ...]:
        """Return the numbers of the evolutions in force at a commit, the first one first.

        Raises:
            WorkspaceError: There is no such commit.
        """
        found = self.repository.resolve(commit)
        return standing_after(self.repository.log(found))[found]

    def next_number(self) -> int:
        """Return the number after the highest ever used."""
        named = (tag.rpartition("-") for tag in self.repository.tags())
        kinds = {"evo", "pre-evo", "rejected-evo"}
        numbers = (number_of(number) for kind, _, number in named if kind in kinds)
        return max((number for number in numbers if number is not None), default=0) + 1

    def evolutions(self) -> tuple[EvolutionRef, ...]:
        """Return all numbered evolutions, the first one first, rejected ones included."""
        refs = self._refs(self.repository.log())
        return tuple(ref for ref in reversed(refs) if ref.number is not None)

    def history(self) -> tuple[EvolutionRef, ...]:
        """Return all numbered evolutions and all rollbacks, the first one first."""
        refs = self._refs(self.repository.log())
        return tuple(
            ref for ref in reversed(refs) if ref.number is not None or ref.kind == "rollback"
        )

    def find_step(self, step: str) -> EvolutionRef | None:
        """Return the commit a run's step made, None where it made none yet."""
        wanted = " ".join(step.split())
        return next((ref for ref in self._refs(self.repository.log()) if ref.step == wanted), None)

    def materialise(self, commit: str, target: Path) -> None:
        """Write a commit's files to a folder that is absent or empty.

        Raises:
            WorkspaceError: There is no such commit, or the folder holds something.
        """
        materialise(self.repository, commit, target)

    def frozen(self, commit: str = "HEAD", *, store: Path | None = None) -> Path:
        """Return a folder with a commit's files, shared by all who ask for that content.

        It must not be written to. It stays the same while the workspace evolves.

        Args:
            commit: A tag or id.
            store: Where such folders are kept; `snapshots/` beside the workspace by default.
        """
        return frozen(self.repository, commit, store or self.root.parent / "snapshots")

    def apply(self, changes: Iterable[Change]) -> None:
        """Bring changes into the workspace; to be called within `writing`.

        Raises:
            WorkspaceError: Not within `writing`, or a file's place is taken.
        """
        if not self._lock.held:
            raise WorkspaceError(f"{self.root}: apply outside of writing()")
        try:
            apply_changes(changes, self.root)
        except OSError as error:
            raise WorkspaceError(f"{self.root}: a change cannot be applied: {error}") from error

    def write_observation(self, markdown: str, rows: Iterable[observations.Row]) -> int:
        """Replace the current observation, log the rows; returns how many were new."""
        with self._lock.hold():
            new = observations.write_observation(self.evolution_dir, markdown, rows)
            self.repository.share(self.evolution_dir)
            return new

    def current_observation(self) -> str:
        """Return the observation written last, empty where there is none."""
        return observations.current_observation(self.evolution_dir)

    def recent_observations(self, count: int = 30) -> tuple[dict[str, JsonValue], ...]:
        """Return the last logged rows, the oldest first."""
        return observations.recent_observations(self.evolution_dir, count)

    def _refs(self, commits: Iterable[Commit]) -> list[EvolutionRef]:
        return refs_of(self.repository, commits)


def _trailers(kind: str, step: str, more: Mapping[str, str] | None) -> dict[str, str]:
    given = {"Kind": kind, **(more or {})}
    return given | {"Step": step} if step else given
