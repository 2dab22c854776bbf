"""What nobody foresaw, kept with the run: its traceback in a file, a row in the ledger."""

import contextlib
import re
from collections.abc import Iterator

from grindstone.boundary import Incident, step_boundary
from grindstone.digest import digest
from grindstone.errors import InternalError
from grindstone.files import write_atomic
from grindstone.home import RunFolder
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import IncidentRow
from grindstone.records import utc_now
from grindstone.runs.progress import Note, current_watcher

FOLDER = "internal"


class IncidentKeeper:
    """Keeps the incidents of a run; passed to `boundary.keeping`.

    Where it drives the whole run it also knows in which steps earlier processes had one, and
    settles that when such a step comes to its end.
    """

    def __init__(
        self, ledger: Ledger, folder: RunFolder, run_key: str, *, whole: bool = True
    ) -> None:
        """Look for the steps in which the run had incidents.

        Args:
            ledger: Where the report finds them.
            folder: The run's folder, for the tracebacks.
            run_key: The run.
            whole: False for a part of a run, which settles nothing.
        """
        self._ledger, self._run_dir, self._run_key = ledger, folder.root, run_key
        rows = ledger.rows(IncidentRow, run_key) if whole else []
        latest = {row.step: row.settled for row in sorted(rows, key=lambda row: row.at)}
        self._open = {step for step, settled in latest.items() if not settled}

    def keep(self, incident: Incident) -> str:
        """Keep one; return where its traceback is, in words."""
        now = utc_now()
        identity = digest([self._run_key, *incident, now.isoformat()])[:16]
        name = re.sub(r"[^a-z0-9]+", "-", incident.step.lower()).strip("-")[:60]
        file = f"{FOLDER}/{name}-{identity[:8]}.txt"
        try:
            write_atomic(self._run_dir / file, f"{incident.step}\n{now}\n\n{incident.traceback}")
        except OSError:  # a full disk, say; the ledger has its own word for that
            file = ""
        self._append(
            IncidentRow(
                run_key=self._run_key,
                incident_id=identity,
                step=incident.step,
                error=incident.error,
                traceback_file=file,
                episode_id=incident.episode_id,
                at=now,
            )
        )
        return f"see {self._run_dir / file}" if file else "no room for its traceback"

    def done(self, step: str) -> None:
        """Settle what an earlier process lost in a step."""
        if step in self._open:
            self._open.discard(step)
            now = utc_now()
            identity = digest([self._run_key, step, "settled", now.isoformat()])[:16]
            row = IncidentRow(
                run_key=self._run_key,
                incident_id=identity,
                step=step,
                error="",
                settled=True,
                at=now,
            )
            self._append(row)

    def _append(self, row: IncidentRow) -> None:
        self._ledger.append([row], run_key=self._run_key)


@contextlib.contextmanager
def spared(step: str) -> Iterator[None]:
    """Do a step that can be done without: what nobody foresaw in it is kept and told."""
    try:
        with step_boundary(step):
            yield
    except InternalError as error:
        current_watcher()(Note(str(error)))
