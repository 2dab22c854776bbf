"""What nobody foresaw, kept with the run: its traceback in a file, a row in the ledger."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from grindstone.boundary import Incident, Keeper, step_boundary
from grindstone.digest import digest
from grindstone.errors import InternalError
from grindstone.files import write_atomic
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import IncidentRow
from grindstone.records import utc_now
from grindstone.runs.progress import Note, current_watcher

FOLDER = "internal"


def keeper(ledger: Ledger, run_dir: Path, run_key: str) -> Keeper:
    """Return what keeps the incidents of a run.

    Args:
        ledger: Where the report finds them.
        run_dir: The run's folder, for the tracebacks.
        run_key: The run.
    """

    def keep(incident: Incident) -> str:
        now = utc_now()
        identity = digest([run_key, *incident, now.isoformat()])[:16]
        name = re.sub(r"[^a-z0-9]+", "-", incident.step.lower()).strip("-")[:60]
        file = f"{FOLDER}/{name}-{identity[:8]}.txt"
        try:
            write_atomic(run_dir / file, f"{incident.step}\n{now}\n\n{incident.traceback}")
        except OSError:  # a full disk, say; the ledger has its own word for that
            file = ""
        row = IncidentRow(
            run_key=run_key,
            incident_id=identity,
            step=incident.step,
            error=incident.error,
            traceback_file=file,
            episode_id=incident.episode_id,
            at=now,
        )
        ledger.append([row], run_key=run_key)
        return f"see {run_dir / file}" if file else "no room for its traceback"

    return keep


@contextlib.contextmanager
def spared(step: str) -> Iterator[None]:
    """Do a step that can be done without: what nobody foresaw in it is kept and told."""
    try:
        with step_boundary(step):
            yield
    except InternalError as error:
        current_watcher()(Note(str(error)))
