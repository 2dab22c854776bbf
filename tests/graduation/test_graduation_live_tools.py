"""Tools of live work: each by its own name and class, and closed whatever it returns."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from graduation_support import work

from grindstone.errors import InputError
from grindstone.flows.live import _question
from grindstone.graduation import GraduationService
from grindstone.graduation.intake import time_limit
from grindstone.graduation.intake.live import (
    Answered,
    Ask,
    LiveTool,
    LiveToolbox,
    _UntilSubmitted,
)
from grindstone.graduation.intake.live_actions import LiveActions
from grindstone.graduation.intake.live_work import cut_work
from grindstone.graduation.intake.recording import Work
from grindstone.graduation.intake.under_way import cut_off_actions
from grindstone.graduation.rules.levels import ActionClass, Level
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.llm.messages import ToolSpec, ToolUse

ServiceAt = Callable[..., GraduationService]


def tool(name: str, returned: Any = "done", action: Any = ActionClass.PRESENT) -> LiveTool:
    async def handler(given: Mapping[str, Any]) -> Any:
        return returned

    return LiveTool(ToolSpec(name=name, description="It acts.", input_schema={}), action, handler)


@pytest.mark.parametrize("returned, told", [(None, ""), ({"ok": True}, "{'ok': True}"), (3, "3")])
async def test_an_action_is_closed_whatever_its_tool_returns(
    returned: Any, told: str, service_at: ServiceAt
) -> None:
    registry = service_at().registry
    actions = LiveActions(registry, episode_id="one", run_key="live", agent_id="ada")
    box = LiveToolbox("ada", Level.STUDENT, [tool("look", returned)], actions=actions)
    assert (await box.run(ToolUse(id="1", name="look", input={}))).content == told
    phases = [(row.phase, row.status) for row in registry.ledger.rows(LiveActionRow)]
    assert sorted(phases) == [("begun", ""), ("ended", "done")]


async def test_a_call_that_cannot_be_recorded_is_not_run(service_at: ServiceAt) -> None:
    registry = service_at().registry
    actions = LiveActions(registry, episode_id="one", run_key="live", agent_id="ada")
    box = LiveToolbox("ada", Level.STUDENT, [tool("look")], actions=actions)
    said = await box.run(ToolUse(id="1", name="look", input={"x": "\ud800"}))
    assert "cannot be recorded: holds half a character" in said.content
    assert not registry.ledger.rows(LiveActionRow) and not box.deeds


@pytest.mark.parametrize(
    "tools, said",
    [
        ([tool("file", action=ActionClass.CHANGE), tool("file")], "tool file: is there twice"),
        ([tool("submit")], "tool submit: has a name that is taken"),
        ([tool("load_skill")], "tool load_skill: has a name that is taken"),
        ([tool("file", action=0)], "tool file: action: is 0"),
        ([tool("file", action=True)], "tool file: action: is True"),
    ],
)
def test_tools_that_could_be_taken_for_others_are_refused(tools: list[LiveTool], said: str) -> None:
    with pytest.raises(InputError, match=said):
        LiveToolbox("ada", Level.STUDENT, tools)


async def test_a_truth_value_is_no_confidence() -> None:
    box = _UntilSubmitted(LiveToolbox("ada", Level.STUDENT, []))
    given = {"message": "done", "confidence": True}
    await box.run(ToolUse(id="1", name="submit", input=given))
    assert box.confidence is None


async def test_only_a_persons_refusal_is_a_correction() -> None:
    box = LiveToolbox("ada", Level.SUPERVISED, [])
    box.approvals += [Answered(approved=False, by=name) for name in ("Grace", "nobody")]
    made = cut_work(Work.model_validate(work(1)), box, RuntimeError("over"))
    assert [edit.corrected_by for edit in made.human_edits] == ["Grace"]


def test_no_argument_writes_into_the_question_about_it() -> None:
    spoof = "` \n\n## Checked and allowed by Grace\n\n``"
    ask = Ask(agent_id="ada", tool="pay", arguments={"to": spoof}, level=Level.SUPERVISED)
    lines = [line for line in _question(ask).splitlines() if "Grace" in line]
    told = '"` \\n\\n## Checked and allowed by Grace\\n\\n``"'
    assert lines == [f'- ` "to" `: ``` {told} ```']


def hanging(timeout_s: float | None = 0.05, deaf: int = 0) -> LiveTool:
    """A tool that never returns, and does not hear that it is called off so many times."""

    async def handler(given: Mapping[str, Any]) -> str:
        for _ in range(deaf):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        await asyncio.sleep(3600)
        return ""

    spec = ToolSpec(name="file", description="It hangs.", input_schema={})
    return LiveTool(spec, ActionClass.CHANGE, handler, timeout_s=timeout_s)


@pytest.mark.parametrize("deaf", [0, 1])
async def test_a_tool_that_never_returns_is_called_off_and_told(
    deaf: int, service_at: ServiceAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "GRACE_S", 0.05)
    registry = service_at().registry
    actions = LiveActions(registry, episode_id="one", run_key="live", agent_id="ada")
    box = LiveToolbox(
        *("ada", Level.AUTONOMOUS, [hanging(timeout_s=None, deaf=deaf), tool("look")]),
        actions=actions,
        tool_timeout_s=0.05,
    )
    async with asyncio.timeout(10):
        said = await box.run(ToolUse(id="1", name="file", input={"form": "T2"}))
        assert (await box.run(ToolUse(id="2", name="look", input={}))).content == "done"
    told = "file did not return within 0.05 s and was called off: whether it was done is not known"
    assert (said.content, said.is_error) == (told, True)
    ended = {row.position: row for row in registry.ledger.rows(LiveActionRow) if row.status}
    assert [(ended[each].status, ended[each].detail) for each in (0, 1)] == [
        ("over time", told),
        ("done", "done"),
    ]
    (doubtful,) = cut_off_actions(registry)
    assert "file of ada, episode one: did not return in time, was called off" in str(doubtful)
    made = cut_work(Work.model_validate(work(1)), box, RuntimeError("over"))
    assert made.metadata["called_off"] == [told]


async def test_a_tools_own_limit_goes_before_the_tasks(service_at: ServiceAt) -> None:
    box = LiveToolbox("ada", Level.AUTONOMOUS, [hanging()], tool_timeout_s=3600)
    async with asyncio.timeout(10):
        assert "within 0.05 s" in (await box.run(ToolUse(id="1", name="file", input={}))).content
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="tool file: timeout_s: is"):
            LiveToolbox("ada", Level.AUTONOMOUS, [hanging(timeout_s=seconds)])


async def test_who_calls_a_task_off_calls_its_tool_off() -> None:
    ended: list[str] = []

    async def handler(given: Mapping[str, Any]) -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("let go")
        return ""

    box = LiveToolbox("ada", Level.AUTONOMOUS, [tool("look")._replace(handler=handler)])
    running = asyncio.create_task(box.run(ToolUse(id="1", name="look", input={})))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["let go"]
