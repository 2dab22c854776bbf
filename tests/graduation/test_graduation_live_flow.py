"""Live work as a flow: the rehearsal's agent, tools by level, and a person who answers."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graduation_support import START
from pydantic import JsonValue
from support.browsing import paused_run

from grindstone.errors import RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.intake.live import LiveResult, LiveTool
from grindstone.graduation.intake.under_way import cut_off_actions
from grindstone.graduation.rules.levels import ActionClass
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.llm.messages import ToolSpec
from grindstone.records import Episode, utc_now
from grindstone.settings import GraduationSettings

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]
WORK = "Build the project in /srv/shop and say whether it went well."


def tools(ran: list[str]) -> list[LiveTool]:
    """A shell that changes something outside, and a tool that only reads."""

    async def shell(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(str(arguments["command"]))
        return "done"

    async def price(arguments: Mapping[str, JsonValue]) -> str:
        return "9.99"

    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
    }
    bash = ToolSpec(name="bash", description="Runs a command.", input_schema=schema)
    look = ToolSpec(name="price", description="Tells a price.", input_schema={"type": "object"})
    return [
        LiveTool(bash, ActionClass.CHANGE, shell),
        LiveTool(look, ActionClass.PRESENT, price),
    ]


async def settings_at(home: Path, agent_id: str, level: str) -> GraduationSettings:
    service = GraduationService(home)
    await service.enrol_agent(agent_id, level, by="Grace", second="Linus", reason="t", since=START)
    return GraduationSettings(
        work_dir=home, agent_id=agent_id, model_id="rehearsal", approval_timeout_s=60
    )


async def test_a_student_is_not_given_what_changes_something(
    prefect_server: str, tmp_path: Path
) -> None:
    from grindstone.flows.live import live

    ran: list[str] = []
    result = await live(WORK, tools(ran), await settings_at(tmp_path, "pupil", "STUDENT"))
    assert result.offered == ("price",)
    assert (ran, result.approvals) == ([], ())
    (kept,) = Ledger(tmp_path).rows(Episode)
    assert (kept.agent_id, kept.rehearsal, kept.maturity) == ("pupil", True, "STUDENT")


async def test_a_level_of_one_town_opens_its_work_alone(
    prefect_server: str, tmp_path: Path
) -> None:
    from grindstone.flows.live import live

    (tmp_path / "policies").mkdir()
    towns = "name: towns\nscopes: {woodstock: {tags: [woodstock]}}\n"
    (tmp_path / "policies" / "towns.yaml").write_text(towns)
    await GraduationService(tmp_path).enrol_agent(
        *("clerk", "AUTONOMOUS"), by="Grace", second="Linus", reason="t", scope="woodstock"
    )
    ran: list[str] = []
    settings = GraduationSettings(work_dir=tmp_path, agent_id="clerk", model_id="rehearsal")
    there = await live(WORK, tools(ran), settings, tags=["woodstock"])
    assert there.offered == ("bash", "price")
    assert ran
    before = list(ran)
    elsewhere = await live(WORK, tools(ran), settings, tags=["london"])
    assert (elsewhere.offered, ran) == (("price",), before)
    kept = sorted(Ledger(tmp_path).rows(Episode), key=lambda row: row.started_at)
    assert [row.maturity for row in kept] == ["AUTONOMOUS", "STUDENT"]


async def test_a_supervised_change_waits_and_is_done_only_when_approved(
    prefect_server: str, tmp_path: Path
) -> None:
    from prefect.flow_runs import resume_flow_run

    from grindstone.flows.live import live

    ran: list[str] = []
    settings = await settings_at(tmp_path, "clerk", "SUPERVISED")
    running = asyncio.create_task(live(WORK, tools(ran), settings))
    answers = ["approve", "approve", "refuse", "approve", "refuse"]
    given: list[str] = []
    for answer in answers:
        run_id = await paused_run("live clerk", done=running)
        if run_id is None:
            break
        before = list(ran)
        await asyncio.sleep(0.3)
        assert ran == before  # nothing happens while nobody has answered
        reason = {"reason": "not on a Friday"} if answer == "refuse" else {}
        await resume_flow_run(
            run_id, run_input={"decision": answer, "name": "Grace Hopper", **reason}
        )
        given.append(answer)
    result = await running
    assert set(result.offered) == {"bash", "price"}
    assert [each.approved for each in result.approvals] == [each == "approve" for each in given]
    assert len(ran) == given.count("approve") >= 2
    assert given.count("refuse") >= 1
    assert "Grace Hopper refused bash: not on a Friday" in result.refused[0]
    events = GraduationService(tmp_path).registry.chain.events()
    kinds = [event.kind for event in events if event.subject == "bash"]
    told = {"approve": EventKind.ACTION_APPROVED, "refuse": EventKind.ACTION_REFUSED}
    assert kinds == [told[each] for each in given]
    assert events[1].by == "Grace Hopper"
    trail = await GraduationService(tmp_path).get_graduation_audit_trail("clerk")
    assert trail["rehearsals"] == 1


async def test_silence_refuses(prefect_server: str, tmp_path: Path) -> None:
    from grindstone.flows.live import live

    ran: list[str] = []
    settings = await settings_at(tmp_path, "lone", "SUPERVISED")
    quick = settings.model_copy(update={"approval_timeout_s": 1})
    result = await live(WORK, tools(ran), quick)
    assert ran == []
    assert all("nobody refused bash" in each for each in result.refused)
    assert result.refused


async def test_what_ends_live_work_leaves_an_episode(prefect_server: str, tmp_path: Path) -> None:
    """A tool fails in a way nobody foresaw; another time the agent loses its level at work."""
    from grindstone.flows.live import live

    ran: list[str] = []
    settings = await settings_at(tmp_path, "doer", "AUTONOMOUS")
    service = GraduationService(tmp_path)
    (bash, look) = tools(ran)

    async def breaks(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(str(arguments["command"]))
        (action,) = [each for each in cut_off_actions(service.registry) if each.at_work]
        assert action.row.position == len(ran) - 1
        if len(ran) == 2:
            raise TypeError("nobody foresaw this")
        return "done"

    with pytest.raises(TypeError, match="nobody foresaw"):
        await live(WORK, [bash._replace(handler=breaks), look], settings, category="builds")
    (kept,) = Ledger(tmp_path).rows(Episode)
    assert (kept.passed, kept.category, kept.tool_calls) == (False, "builds", 2)
    assert kept.metadata["ended_by"] == "TypeError: nobody foresaw this"
    assert cut_off_actions(service.registry) == ()
    assert list(service.registry.home.live_tasks.iterdir()) == []
    rows = sorted(Ledger(tmp_path).rows(LiveActionRow), key=lambda row: (row.position, row.phase))
    assert [row.status for row in rows] == ["", "done", "", "raised"]

    async def lowered(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(str(arguments["command"]))
        await service.demote_agent("doer", "INTERN", by="Grace", reason="two complaints")
        return "done"

    ran.clear()
    with pytest.raises(RefusedError, match="AUTONOMOUS → INTERN"):
        await live(WORK, [bash._replace(handler=lowered), look], settings)
    assert len(ran) == 1
    assert len(Ledger(tmp_path).rows(Episode)) == 2


async def test_a_tool_and_a_check_that_never_return_hold_up_nothing(
    prefect_server: str, tmp_path: Path
) -> None:
    from grindstone.flows.live import live

    ran: list[str] = []
    settings = await settings_at(tmp_path, "doer", "AUTONOMOUS")
    quick = settings.model_copy(update={"tool_timeout_s": 1})
    (bash, look) = tools(ran)

    async def hangs(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(str(arguments["command"]))
        if len(ran) == 1:
            await asyncio.sleep(3600)
        return "done"

    async def never(result: LiveResult) -> bool:
        await asyncio.sleep(3600)
        return True

    async with asyncio.timeout(120):
        result = await live(WORK, [bash._replace(handler=hangs), look], quick)
        assert len(ran) > 1  # it went on
        assert "bash did not return within 1 s" in result.called_off[0]
        with pytest.raises(TimeoutError, match="the check did not return within 1 s"):
            await live(WORK, [look], quick, check=never)
    first, second = sorted(Ledger(tmp_path).rows(Episode), key=lambda row: row.started_at)
    assert first.metadata["called_off"] == list(result.called_off)
    assert (second.passed, "the check did not" in str(second.metadata["ended_by"])) == (False, True)
    (doubtful,) = cut_off_actions(GraduationService(tmp_path).registry)
    assert (doubtful.over_time, doubtful.row.tool) == (True, "bash")


async def test_a_clock_set_back_takes_no_live_work_from_under_its_level(
    prefect_server: str, tmp_path: Path
) -> None:
    from grindstone.flows.live import live

    ahead = GraduationService(tmp_path, clock=lambda: utc_now() + timedelta(days=1))
    await ahead.enrol_agent("doer", "AUTONOMOUS", by="Grace", second="Linus", reason="t")
    settings = GraduationSettings(work_dir=tmp_path, agent_id="doer", model_id="rehearsal")
    ran: list[str] = []
    await live(WORK, tools(ran), settings)
    (kept,) = Ledger(tmp_path).rows(Episode)
    since = ahead.registry.agent("doer").since
    assert ran and since is not None
    assert (kept.maturity, kept.started_at >= since) == ("AUTONOMOUS", True)
