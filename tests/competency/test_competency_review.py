"""A routed task under review: a person answers in the Prefect UI, in a real browser."""

import asyncio
from pathlib import Path

import pytest
from support.agents import agent
from support.browsing import abrowsing, answering, choose, paused_run

from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.records import Episode
from grindstone.settings import RouteSettings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.catalogue(of="clicks that answer a run"),
    pytest.mark.timeout(240),
]


@pytest.mark.parametrize("approve", [True, False])
async def test_a_person_decides_by_a_click(
    prefect_server: str, chromium: str, tmp_path: Path, approve: bool
):
    from grindstone.flows.route import route

    member = "ann" if approve else "bob"
    agent(tmp_path, member)
    asked = f"Count the log files of {member}"
    settings = RouteSettings(
        work_dir=tmp_path, model_id="rehearsal", task=asked, check="test -d /app"
    )
    ledger = Ledger(tmp_path)
    running = asyncio.create_task(route(settings))
    run_id = await paused_run(f"route {asked}")
    assert ledger.rows(Episode) == []  # nothing happens before the answer
    async with abrowsing(chromium) as page, answering(page, prefect_server, run_id) as form:
        shown = await form.inner_text()
        for told in (f"May {member} do this?", "5.00 in log-analysis", asked):
            assert told in shown
        if approve:
            await choose(page, form, "approve")
        name, reason = form.get_by_role("textbox").nth(0), form.get_by_role("textbox").nth(1)
        await name.fill("Grace Hopper")
        await reason.fill("it is Friday")
    routed = await running
    if approve:
        assert (routed.status, routed.decision.success) == ("done", True)
        said = "approved by Grace Hopper: it is Friday"
        assert routed.decision.note == f"no stronger model to give; {said}"
        assert [row.success for row in ledger.rows(OutcomeRow)] == [True]
    else:
        assert (routed.status, routed.note) == ("declined", "Grace Hopper said no: it is Friday")
        assert ledger.rows(Episode) == []
        assert ledger.rows(OutcomeRow) == []
