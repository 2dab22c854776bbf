"""What a run holds open."""

import asyncio
from pathlib import Path

import pytest
from support.attempt_specs import spec_of

from grindstone.home import Home
from grindstone.llm import CallRecord, Journal
from grindstone.llm.journal import JournalEntry
from grindstone.llm.messages import CallSite
from grindstone.records import Role, Usage, utc_now
from grindstone.resources import bundled
from grindstone.settings import GrindSettings, Profile
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


@pytest.mark.server
async def test_an_attempt_opens_no_client_of_its_own(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
):
    from prefect import flow
    from prefect.client.orchestration import PrefectClient, SyncPrefectClient

    from grindstone.flows.attempt import attempt_once

    settings = GrindSettings(work_dir=tmp_path, run_key="r", native_profile=Profile.ORACLE)
    specs = [spec_of(settings, trial=trial) for trial in range(2)]
    opened: list[str] = []
    for kind in (PrefectClient, SyncPrefectClient):

        def counted(self: object, *given: object, begin=kind.__init__, **more: object) -> None:
            opened.append(type(self).__name__)
            begin(self, *given, **more)

        monkeypatch.setattr(kind, "__init__", counted)

    @flow(name="two attempts")
    async def both() -> list[str]:
        run = {"run_key": "r", "agent_id": settings.agent_id}
        async with open_runtime(home=settings.home, sandbox="bubblewrap", **run):
            assert (await attempt_once(specs[0])).passed
            before = len(opened)
            assert before, "the count counts nothing"
            assert (await attempt_once(specs[1])).passed
            return opened[before:]

    assert await both() == []
