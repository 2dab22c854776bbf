"""The one folder that holds everything kept, and where each thing lies in it.

Nothing else spells these paths:

    agents/<agent_id>/workspace/   git: an agent as it has evolved
    agents/<agent_id>/turn.lock    held by the run that changes it
    ledger/<table>/run=<key>/      append-only parquet
    audit/                         the hash chain
    audit-end.json                 its last number and digest, should the folder go
    runs/<key>/                    journal, step results, plan, orders, report, plots
    competency/jobs/<agent_id>/    training jobs
    approvers.yaml                 who may answer for agents
    edge_cases/, sessions/, policies/, constitution/, reports/, routed/, variants/, impossible/,
    server/
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from grindstone.errors import InputError
from grindstone.remote.home_files import FolderFiles, HomeFiles
from grindstone.remote.mirror import Mirror, mirror_of
from grindstone.remote.place import folder_of


def is_one_name(name: str) -> bool:
    """Whether a name is that of one file or folder, and no way to elsewhere."""
    return name not in ("", ".", "..") and not set(name) & {"/", "\0"}


def _one(name: str) -> str:
    """Return a name of what a home holds; a home may be a stranger's, and its rows say anything.

    Raises:
        InputError: It would lead out of its folder.
    """
    if not is_one_name(name):
        raise InputError(repr(name), "is no name in a home", "a name without /")
    return name


@dataclass(frozen=True)
class RunFolder(os.PathLike[str]):
    """A run's own folder."""

    root: Path

    def __fspath__(self) -> str:
        return str(self.root)

    @property
    def journal(self) -> Path:
        """Every paid answer, written before it is used."""
        return self.root / "journal"

    @property
    def results(self) -> Path:
        """The results of the run's steps: kept with it, so they go when it goes."""
        return self.root / "results"

    @property
    def plan(self) -> Path:
        """What the run set out to do."""
        return self.root / "plan.json"

    @property
    def arms(self) -> Path:
        """The two states a gate weighs."""
        return self.root / "arms.json"

    @property
    def certificate(self) -> Path:
        """What a release claims, with the rows it rests on."""
        return self.root / "certificate.json"

    @property
    def lock(self) -> Path:
        """Held by the one process that drives the run."""
        return self.root / "lock"

    @property
    def orders(self) -> Path:
        """What the run was told while it went on, a file each."""
        return self.root / "orders"

    def order(self, number: int) -> Path:
        """Return the file of an order; numbers count from 1."""
        return self.orders / f"{number:06}.json"

    @property
    def slices(self) -> Path:
        """Signs of life of the run's slices on a work pool, and what they share."""
        return self.root / "slices"

    def pulse(self, name: str) -> Path:
        """Return the file by which a slice, or who shares the budget, shows that it lives."""
        return self.slices / name

    @property
    def account(self) -> Path:
        """What the processes of a run on a work pool hold of its ceilings."""
        return self.slices / "account.json"

    def attempt(self, episode_id: str) -> Path:
        """Return the file of an attempt that is not yet in the ledger."""
        return self.root / "attempts" / f"{_one(episode_id)}.json"

    def command_log(self, episode_id: str) -> Path:
        """Return the file of what an attempt's commands have shown so far."""
        return self.root / "attempts" / f"{_one(episode_id)}.commands"

    @property
    def plots(self) -> Path:
        """Pictures of its report."""
        return self.root / "plots"


@dataclass(frozen=True)
class Home(os.PathLike[str]):
    """A home's folder; absolute, so that a later change of directory moves nothing."""

    root: Path

    @classmethod
    def at(cls, folder: "Path | str | Home") -> "Home":
        """Return the home at a folder, which need not be there yet, or at an address.

        Raises:
            InputError: It is at an address that no home can have, or a file.
        """
        if isinstance(folder, Home):
            return folder
        root = folder_of(folder).absolute()
        if root.is_file():
            raise InputError(str(folder), "is a file", "a home's folder, or a place for one")
        return cls(root)

    def __fspath__(self) -> str:
        return str(self.root)

    def __str__(self) -> str:
        return str(self.root)

    @property
    def mirror(self) -> Mirror | None:
        """What keeps the folder level with a remote home; None where it is a home of its own."""
        return mirror_of(self.root, above=False)

    @property
    def files(self) -> HomeFiles:
        """How its files are written, wherever it is."""
        return self.mirror or FolderFiles()

    @property
    def place(self) -> str:
        """What any machine names the home by: its address, or its folder."""
        return str(self.root) if self.mirror is None else self.mirror.store.url

    def workspace(self, agent_id: str) -> Path:
        """Return where an agent lives."""
        return self.root / "agents" / _one(agent_id) / "workspace"

    def turn(self, agent_id: str) -> Path:
        """Return the file that the run which changes an agent locks."""
        return self.root / "agents" / _one(agent_id) / "turn.lock"

    def agents(self) -> list[str]:
        """Return the agents that have a workspace here, by name."""
        folder = self.root / "agents"
        if self.mirror is not None:
            names = (entry.name.split("/") for entry in self.mirror.store.listed("agents"))
            return sorted({parts[1] for parts in names if parts[2].startswith("workspace")})
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path.name for path in found if (path / "workspace").is_dir())

    def run(self, run_key: str) -> RunFolder:
        """Return a run's own folder."""
        return RunFolder(self.root / "runs" / _one(run_key))

    def run_folders(self) -> list[str]:
        """Return the runs that have a folder of their own on this disk."""
        folder = self.root / "runs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def jobs(self, agent_id: str) -> Path:
        """Return where an agent's training jobs are claimed."""
        return self.root / "competency" / "jobs" / quote(agent_id, safe="")

    def session(self, session_id: str) -> Path:
        """Return where a live session of another system is logged."""
        return self.root / "sessions" / f"{quote(session_id, safe='')}.jsonl"

    def live_task(self, episode_id: str) -> Path:
        """Return the file of a live task that is under way."""
        return self.live_tasks / f"{quote(episode_id, safe='')}.json"

    @property
    def live_tasks(self) -> Path:
        """What is known of live tasks that have not ended."""
        return self.root / "live"

    @property
    def ledger(self) -> Path:
        """Tables of everything that happened."""
        return self.root / "ledger"

    @property
    def audit(self) -> Path:
        """The chain of decisions about levels."""
        return self.root / "audit"

    def graduation_report(self, agent_id: str, form: str) -> Path:
        """Return the file of an agent's trail, in the home whatever the agent is called."""
        name = quote(agent_id, safe="@:+")
        if len(name) > 200:  # a file's name may have 255 bytes
            name = sha256(agent_id.encode()).hexdigest()
        return self.reports / f"graduation-{name}.{form}"

    @property
    def audit_end(self) -> Path:
        """The chain's last number and digest once more, beside its folder."""
        return self.root / "audit-end.json"

    @property
    def account_lock(self) -> Path:
        """Held while it is decided which tasks are sealed, or what looking at them costs."""
        return self.root / "account.lock"

    @property
    def edge_cases(self) -> Path:
        """Cases that exams are made of."""
        return self.root / "edge_cases"

    @property
    def policies(self) -> Path:
        """The user's own graduation policies."""
        return self.root / "policies"

    @property
    def approvers(self) -> Path:
        """The people who may answer for agents."""
        return self.root / "approvers.yaml"

    @property
    def constitution(self) -> Path:
        """The user's own rule packs."""
        return self.root / "constitution"

    @property
    def reports(self) -> Path:
        """Exports that were given no path."""
        return self.root / "reports"

    @property
    def routed(self) -> Path:
        """Tasks written down because somebody typed them."""
        return self.root / "routed"

    @property
    def variants(self) -> Path:
        """Tasks without the skills they came with."""
        return self.root / "variants"

    @property
    def impossible(self) -> Path:
        """Tasks that nobody can solve, to be planted among a run's own."""
        return self.root / "impossible"

    @property
    def server(self) -> Path:
        """State and logs of the Prefect server and worker started for this home."""
        return self.root / "server"
