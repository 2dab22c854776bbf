"""A row and a paid call, as small as they can be."""

from grindstone.ledger.tables.runs import EglRow
from grindstone.llm.calls import CallRecord
from grindstone.llm.journal import JournalEntry
from grindstone.llm.messages import CallSite
from grindstone.records import Role, Usage, utc_now


def egl_row(index: int, tasks: int = 1, run_key: str = "r") -> EglRow:
    return EglRow(
        run_key=run_key,
        index=index,
        new_skills=0,
        tasks_solved=tasks,
        cumulative_skills=0,
        egl=None,
        threshold=0.5,
        converged=False,
    )


def paid_call(name: str) -> tuple[CallSite, JournalEntry]:
    site = CallSite(role=Role.SOLVER, scope="episode", turn=0)
    record = CallRecord(
        call_id=name,
        run_key="r",
        role=Role.SOLVER,
        scope="episode",
        turn=0,
        model="m",
        provider="p",
        usage=Usage(input_tokens=1),
        started_at=utc_now(),
        duration_s=0.1,
    )
    return site, JournalEntry(record=record, response=None)
