"""How a run ended is said by who drives it, and every change of its state is kept."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RUNNING, RunRow
from grindstone.records import utc_now
from grindstone.runs.row import end_run
from grindstone.sandbox.owner import Owner, this_process


def driven_by(owner: Owner, sequence: int) -> RunRow:
    host, pid, started = owner
    return RunRow(
        run_key="r",
        sequence=sequence,
        kind="grind",
        status=RUNNING,
        owner_host=host,
        owner_pid=pid,
        owner_started=started,
        at=utc_now(),
    )


def test_who_lost_a_run_does_not_say_how_it_ended(tmp_path: Path):
    ledger, other = Ledger(tmp_path), Owner("another-host/1", 1, "1")
    ledger.append([driven_by(this_process(), 0)], run_key="r")
    ledger.append([driven_by(other, 1)], run_key="r")
    end_run(ledger, "r", "interrupted", note="it was called off")
    assert [row.status for row in ledger.rows(RunRow, "r")] == [RUNNING, RUNNING]
    ledger.append([driven_by(this_process(), 2)], run_key="r")
    end_run(ledger, "r", "completed")
    assert max(ledger.rows(RunRow, "r"), key=lambda row: row.sequence).status == "completed"


def test_no_change_of_a_run_is_lost_to_another_at_the_same_moment(tmp_path: Path):
    Ledger(tmp_path).append([driven_by(this_process(), 0)], run_key="r")
    with ThreadPoolExecutor(6) as pool:
        notes = [str(number) for number in range(12)]
        list(pool.map(lambda note: end_run(Ledger(tmp_path), "r", "stopped", note=note), notes))
    kept = [row.note for row in Ledger(tmp_path).rows(RunRow, "r") if row.status == "stopped"]
    assert sorted(kept) == sorted(notes)
