"""What an agent is given at each level, and what happens to calls beyond it."""

from collections.abc import Mapping

from pydantic import JsonValue

from grindstone.graduation.intake.live import Answered, Ask, LiveTool, LiveToolbox
from grindstone.graduation.rules.levels import ActionClass, Level
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
