"""What a run holds open."""

import asyncio
from pathlib import Path

from grindstone.home import Home
from grindstone.llm import CallRecord, Journal
from grindstone.llm.journal import JournalEntry
from grindstone.llm.messages import CallSite
from grindstone.records import Role, Usage, utc_now
from grindstone.resources import bundled
from grindstone.tasks.runtime import open_runtime
from grindstone.workspace import Workspace


async def test_calls_that_another_process_paid_for_come_into_the_ledger(tmp_path: Path):
    home = Home.at(tmp_path)
    Workspace.create(home.workspace("a"), bundled("seed_workspaces/skillbench"))
    record = CallRecord(
        call_id="c",
        run_key="r",
        role=Role.SOLVER,
        scope="episode",
        turn=0,
        model="claude",
        provider="anthropic",
        usage=Usage(input_tokens=1),
        cost_usd=0.5,
        started_at=utc_now(),
        duration_s=1.0,
    )
    async with open_runtime(home=home, run_key="r", agent_id="a", sandbox="bubblewrap") as runtime:
        assert runtime.cost_of("episode") == 0.0
        entry = JournalEntry(record=record, response=None)
        site = CallSite(role=Role.SOLVER, scope="episode", turn=0)
        await asyncio.to_thread(Journal(home.run("r").journal).append, site, entry)
        await runtime.reread_calls()
        assert runtime.cost_of("episode") == 0.5
    assert [row.call_id for row in runtime.ledger.rows(CallRecord, "r")] == ["c"]
