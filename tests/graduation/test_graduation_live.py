"""What an agent is given at each level, and what happens to calls beyond it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from graduation_support import START
from pydantic import JsonValue

from grindstone.graduation.intake.live import (
    Answered,
    Ask,
    LevelLostError,
    LiveTool,
    LiveToolbox,
)
from grindstone.graduation.intake.live_actions import LiveActions
from grindstone.graduation.intake.live_work import cut_work, done_so_far
from grindstone.graduation.intake.recording import Work
from grindstone.graduation.registry import Registry, open_desk
from grindstone.graduation.rules.levels import ActionClass, Level
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.llm.messages import ToolSpec, ToolUse


def tool(name: str, action: ActionClass, capability: str = "") -> LiveTool:
    async def act(arguments: Mapping[str, JsonValue]) -> str:
        return f"{name} done"

    spec = ToolSpec(name=name, description=name, input_schema={"type": "object"})
    return LiveTool(spec, action, act, capability)


TOOLS = [
    tool("read", ActionClass.PRESENT),
    tool("form", ActionClass.STREAM),
    tool("file", ActionClass.CHANGE),
    tool("shell", ActionClass.ANYTHING),
]


def names(level: Level) -> list[str]:
    return [spec.name for spec in LiveToolbox("ada", level, TOOLS).specs]


def test_each_level_is_given_its_tools_and_no_others() -> None:
    assert names(Level.STUDENT) == ["read"]
    assert names(Level.INTERN) == ["read", "form"]
    assert names(Level.SUPERVISED) == ["read", "form", "file"]
    assert names(Level.AUTONOMOUS) == ["read", "form", "file", "shell"]


async def test_a_call_beyond_the_level_is_refused_all_the_same() -> None:
    box = LiveToolbox("ada", Level.STUDENT, TOOLS)
    for name in ("shell", "file", "form", "nowhere"):
        output = await box.run(ToolUse(id="1", name=name, input={}))
        assert output.is_error
        assert "not allowed at level STUDENT" in output.content
    assert not (await box.run(ToolUse(id="1", name="read", input={}))).is_error
    assert len(box.refused) == 4


async def test_a_capability_goes_by_its_own_level() -> None:
    tools = [
        tool("query", ActionClass.ANYTHING, "data_query"),
        tool("shell", ActionClass.CHANGE, "shell_access"),
    ]
    box = LiveToolbox(
        "ada", Level.INTERN, tools, capability_levels={"data_query": Level.AUTONOMOUS}
    )
    assert [spec.name for spec in box.specs] == ["query"]


async def test_a_supervised_change_is_done_only_when_a_human_says_so() -> None:
    asked: list[Ask] = []

    async def approve(what: Ask) -> Answered:
        asked.append(what)
        return Answered(approved=len(asked) == 1, by="Grace", reason="once is enough")

    box = LiveToolbox("ada", Level.SUPERVISED, TOOLS, approve=approve)
    assert (await box.run(ToolUse(id="1", name="file", input={"a": 1}))).content == "file done"
    second = await box.run(ToolUse(id="2", name="file", input={}))
    assert second.content == "Not done: Grace refused file: once is enough."
    assert asked[0].arguments == {"a": 1}
    nobody = LiveToolbox("ada", Level.SUPERVISED, TOOLS)
    assert "nobody is there" in (await nobody.run(ToolUse(id="3", name="file", input={}))).content


def recorded(registry: Registry) -> list[tuple[int, str, str]]:
    rows = registry.ledger.rows(LiveActionRow)
    return sorted((row.position, row.phase, row.status) for row in rows)


def desk(home: Path) -> tuple[Registry, LiveActions]:
    registry = open_desk(home)
    return registry, LiveActions(registry, episode_id="ep", run_key="live", agent_id="ada")


def doing(handler, capability: str = "") -> LiveTool:
    spec = ToolSpec(name="file", description="file", input_schema={"type": "object"})
    return LiveTool(spec, ActionClass.CHANGE, handler, capability)


async def test_an_action_is_on_record_before_it_runs_and_closed_after(tmp_path: Path) -> None:
    registry, actions = desk(tmp_path)
    seen: list[list[tuple[int, str, str]]] = []

    async def file_form(arguments: Mapping[str, JsonValue]) -> str:
        seen.append(recorded(registry))
        if arguments.get("wrong"):
            raise ValueError("no such form")
        return "Not done: says the office"  # the tool's own words, not ours

    box = LiveToolbox(
        "ada",
        Level.AUTONOMOUS,
        [doing(file_form, "filing")],
        actions=actions,
        capability_levels={"filing": Level.AUTONOMOUS},
    )
    await box.run(ToolUse(id="1", name="file", input={"form": "T2"}))
    complained = await box.run(ToolUse(id="2", name="file", input={"wrong": True}))
    assert complained.is_error
    assert seen[0] == [(0, "begun", "")]
    assert recorded(registry) == [
        *((0, "begun", ""), (0, "ended", "done")),
        *((1, "begun", ""), (1, "ended", "complained")),
    ]
    (first, *_) = [
        row
        for row in registry.ledger.rows(LiveActionRow)
        if row.phase == "begun" and row.position == 0
    ]
    assert (first.arguments, first.level, first.capability) == (
        {"form": "T2"},
        "AUTONOMOUS",
        "filing",
    )
    assert [deed.fields for deed in done_so_far(box)] == [{"form": "T2"}, {"wrong": True}]
    assert box.refused_calls == set()


@pytest.mark.parametrize(
    ("error", "status"),
    [(TypeError("not foreseen"), "raised"), (asyncio.CancelledError(), "cut off")],
)
async def test_whatever_is_raised_the_action_stays_on_record(
    tmp_path: Path, error: BaseException, status: str
) -> None:
    registry, actions = desk(tmp_path)
    ran: list[object] = []

    async def file_form(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(arguments)
        if len(ran) == 2:
            raise error
        return "filed"

    box = LiveToolbox("ada", Level.AUTONOMOUS, [doing(file_form)], actions=actions)
    await box.run(ToolUse(id="1", name="file", input={"form": 1}))
    with pytest.raises(type(error)):
        await box.run(ToolUse(id="2", name="file", input={"form": 2}))
    assert [each[2] for each in recorded(registry) if each[1] == "ended"] == ["done", status]
    begun = Work(agent_id="ada", episode_id="ep", title="t", success=False, started_at=START)
    work = cut_work(begun, box, error)
    assert [deed.fields for deed in work.actions if deed.tool] == [{"form": 1}, {"form": 2}]
    assert type(error).__name__ in str(work.metadata["ended_by"])


async def test_a_level_lost_at_work_ends_the_task_before_its_next_action() -> None:
    ran: list[object] = []
    now: dict[str, Level] = {"agent": Level.AUTONOMOUS, "filing": Level.AUTONOMOUS}

    async def file_form(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(arguments)
        return "filed"

    async def standing() -> tuple[Level, Mapping[str, Level]]:
        return now["agent"], {"filing": now["filing"]}

    box = LiveToolbox(
        "ada",
        Level.AUTONOMOUS,
        [doing(file_form, "filing")],
        capability_levels={"filing": Level.AUTONOMOUS},
        standing=standing,
    )
    use = ToolUse(id="1", name="file", input={})
    await box.run(use)
    now["filing"] = Level.STUDENT  # the capability alone
    assert "not allowed at level STUDENT" in (await box.run(use)).content
    now["agent"] = Level.SUPERVISED
    with pytest.raises(LevelLostError, match="AUTONOMOUS → SUPERVISED"):
        await box.run(use)
    assert len(ran) == 1


@pytest.mark.parametrize("lost", ["agent", "filing"])
async def test_a_level_lost_while_somebody_is_asked_opens_nothing(lost: str) -> None:
    ran: list[object] = []
    now: dict[str, Level] = {"agent": Level.SUPERVISED, "filing": Level.SUPERVISED}

    async def file_form(arguments: Mapping[str, JsonValue]) -> str:
        ran.append(arguments)
        return "filed"

    async def standing() -> tuple[Level, Mapping[str, Level]]:
        return now["agent"], {"filing": now["filing"]}

    async def late(ask: Ask) -> Answered:
        now[lost] = Level.STUDENT
        return Answered(approved=True, by="Grace")

    box = LiveToolbox(
        "ada",
        Level.SUPERVISED,
        [doing(file_form, "filing")],
        capability_levels={"filing": Level.SUPERVISED},
        approve=late,
        standing=standing,
    )
    use = ToolUse(id="1", name="file", input={})
    if lost == "agent":
        with pytest.raises(LevelLostError):
            await box.run(use)
    else:
        assert "not allowed at level STUDENT" in (await box.run(use)).content
    assert not ran
