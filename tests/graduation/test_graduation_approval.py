"""A person's answer, clicked in the Prefect UI by a real browser."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from graduation_support import fill
from pydantic import JsonValue
from support.browsing import abrowsing, answering, choose, paused_run

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.intake.live import LiveTool, LiveToolbox
from grindstone.graduation.rules.levels import ActionClass, Level
from grindstone.llm.messages import ToolSpec, ToolUse
from grindstone.settings import GraduationSettings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.catalogue(of="clicks that answer a run"),
    pytest.mark.timeout(240),
]

POLICY = """
name: asks
exam: {required: false}
approval: ui
"""


@pytest.fixture
async def page(chromium: str) -> AsyncIterator[object]:
    async with abrowsing(chromium) as opened:
        yield opened


async def click_answer(page, api_url: str, run_id: str, *, decision: str, name: str) -> None:
    """Fill the form under Resume as a person does."""
    async with answering(page, api_url, run_id) as dialog:
        if decision != "refuse":
            await choose(page, dialog, decision)
        await dialog.get_by_role("textbox").first.fill(name)


@pytest.mark.parametrize(("decision", "promoted"), [("approve", True), ("refuse", False)])
async def test_promotion_waits_for_a_click(
    prefect_server: str, page, tmp_path: Path, decision: str, promoted: bool
) -> None:
    from grindstone.flows.graduate import graduate

    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "asks.yaml").write_text(POLICY)
    agent = f"ada-{decision}"
    service = GraduationService(tmp_path / "home", policies=policies)
    await fill(service, 12, agent_id=agent, episode_id="")
    settings = GraduationSettings(
        work_dir=tmp_path / "home", agent_id=agent, policies_dir=policies, ask=True
    )
    running = asyncio.create_task(graduate(settings))
    run_id = await paused_run(f"graduate {agent}")
    await click_answer(page, prefect_server, run_id, decision=decision, name="Grace Hopper")
    result = await running
    assert result.promoted is promoted
    assert result.answer is not None
    assert result.answer.by == "Grace Hopper"
    kinds = [event.kind for event in service.registry.chain.events()]
    if promoted:
        assert kinds[-2:] == [EventKind.APPROVED, EventKind.PROMOTED]
        assert service.registry.agent(agent).level is Level.INTERN
        assert service.registry.chain.events()[-1].by == "Grace Hopper"
    else:
        assert kinds[-1] is EventKind.REFUSED
        assert EventKind.PROMOTED not in kinds
        assert "Grace Hopper refused it" in result.missing[0]
    assert verify(service.registry.chain).intact


async def test_a_supervised_change_waits_for_a_click(
    prefect_server: str, page, tmp_path: Path
) -> None:
    """The same path a live flow takes, with the agent's call made by hand."""
    from prefect import flow

    from grindstone.graduation.intake.live import Answered, Ask
    from grindstone.tasks.approval import ask

    done: list[JsonValue] = []

    async def file_form(arguments) -> str:
        done.append(arguments["form"])
        return "filed"

    tool = LiveTool(
        ToolSpec(name="file_form", description="Files a form.", input_schema={"type": "object"}),
        ActionClass.CHANGE,
        file_form,
    )

    @flow(name="files-a-form", flow_run_name="files a form")
    async def files() -> bool:
        async def approve(what: Ask) -> Answered:
            said = await ask(f"{what.tool} {what.arguments}?", timeout_s=120, key="action")
            return Answered(approved=said.approved, by=said.by, reason=said.reason)

        box = LiveToolbox("ada", Level.SUPERVISED, [tool], approve=approve)
        output = await box.run(ToolUse(id="1", name="file_form", input={"form": "T2"}))
        return not output.is_error

    running = asyncio.create_task(files())
    run_id = await paused_run("files a form")
    assert not done  # nothing happens before the answer
    await click_answer(page, prefect_server, run_id, decision="approve", name="Grace Hopper")
    assert await running
    assert done == ["T2"]
