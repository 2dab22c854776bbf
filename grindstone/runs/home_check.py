"""Whether everything a home keeps can still be read, and is what it was when it was copied."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from grindstone.errors import GrindstoneError
from grindstone.files import read_record
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.store import check_whole
from grindstone.llm.journal import Journal
from grindstone.remote.record import RECORD, CopyRecord
from grindstone.runs.plan import kept_plan
from grindstone.workspace import Workspace

_UNCHANGING = ("ledger/", "audit/0", "audit/1")


class HomeCheck(NamedTuple):
    """What was read, and what is wrong, a sentence each."""

    parts: int
    rows: int
    calls: int
    workspaces: int
    faults: tuple[str, ...]


def check_home(home: Home) -> HomeCheck:
    """Read all parts of the ledger, every paid call, every history and plan of a home.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """
    ledger, faults = Ledger(home), []
    parts = rows = calls = workspaces = 0
    runs = ledger.runs()
    for table in sorted(path.name for path in ledger.root.glob("*") if path.is_dir()):
        for key in ledger.runs(table):
            try:
                for part in ledger.parts(table, key):
                    check_whole(part)
                    parts += 1
                rows += ledger.scan(table, key).collect().height
            except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of a reader
                faults.append(f"ledger/{table}, run {key}: {error}")
    for key in sorted({*runs, *home.run_folders()}):
        try:
            kept_plan(home, key)
            calls += sum(1 for _ in Journal(home.run(key).journal).entries())
        except (GrindstoneError, OSError) as error:
            faults.append(f"runs/{key}: {error}")
        faults += _torn(home.run(key).journal, home)
    for agent_id in home.agents():
        try:
            workspace = Workspace.reading(home.workspace(agent_id))
            workspace.repository.run("fsck", "--strict", "--no-dangling", "--no-progress")
            workspace.repository.resolve("HEAD")
            workspaces += 1
        except GrindstoneError as error:
            faults.append(str(error))
    faults += _changed(home)
    return HomeCheck(parts, rows, calls, workspaces, tuple(faults))


def _torn(journal: Path, home: Home) -> Iterator[str]:
    """Yield what is in a journal and is no whole call."""
    for path in sorted(journal.glob("*.jsonl")):
        lines = [line for line in path.read_bytes().splitlines() if line]
        known = sum(1 for _ in Journal.in_file(path))
        if known < len(lines):
            where = path.relative_to(home.root)
            yield f"{where}: {len(lines) - known} lines are no whole calls; a kill leaves such"


def _changed(home: Home) -> Iterator[str]:
    """Yield files that nothing ever changes and that are not as they were copied."""
    path = home.root / RECORD
    if home.mirror is not None:
        home.mirror.refresh(path)
    if not path.is_file():
        return
    record = read_record(path, CopyRecord, "record of a copy")
    if not record.whole:
        yield f"{path}: the copy of {record.source} was cut short; the same command goes on with it"
    for name, was in record.files.items():
        copy = home.root / name
        if not name.startswith(_UNCHANGING) or not copy.is_file():
            continue  # a part that another one stands for now is removed
        if sha256(copy.read_bytes()).hexdigest() != was.sha256:
            yield f"{name}: is not what was copied"
