"""Live work under permissions: an agent is given the tools its level allows, and no others.

Enforced twice: a forbidden tool is not among those the model is told of, and a call of one
is refused all the same. What a SUPERVISED agent would change waits for a human's answer
before it is done. Attempts in training sandboxes go another way and are not restricted.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field, JsonValue

from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.loop import CallResult, converse
from grindstone.agents.protocol import Brief, Effort
from grindstone.agents.recorder import Recorder
from grindstone.base import Frozen
from grindstone.graduation.intake.recording import RecordedAction
from grindstone.graduation.rules.levels import ActionClass, Level, Permission, permission
from grindstone.llm.messages import Model, ToolSpec, ToolUse
from grindstone.records import StepKind, ToolOutput, Trajectory, utc_now
from grindstone.text import shorten

Handler = Callable[[Mapping[str, JsonValue]], Awaitable[str]]
"""Does what a tool does and returns what the agent is told of it."""

SUBMIT = ToolSpec(
    name="submit",
    description="Say that the work is done; nothing can be done afterwards.",
    input_schema={
        "type": "object",
        "properties": {"message": {"type": "string", "description": "What was done."}},
        "required": ["message"],
    },
)


class LiveTool(NamedTuple):
    """A tool of a live task."""

    spec: ToolSpec
    action: ActionClass
    handler: Handler
    capability: str = ""  # where it names one, that capability's level counts, not the agent's


class Ask(Frozen):
    """What a human is asked before a state changes."""

    agent_id: str
    tool: str
    arguments: dict[str, JsonValue]
    level: Level


class Answered(Frozen):
    """What the human said."""

    approved: bool
    by: str = ""
    reason: str = ""


Approve = Callable[[Ask], Awaitable[Answered]]


class LiveResult(Frozen):
    """What came of a live task."""

    trajectory: Trajectory
    deeds: tuple[RecordedAction, ...] = Field(
        description="What was done or said, as an episode keeps it."
    )
    refused: tuple[str, ...] = Field((), description="Calls that were not run, one sentence each.")
    approvals: tuple[Answered, ...] = ()
    offered: tuple[str, ...] = Field((), description="The tools the agent was given.")


class LiveToolbox:
    """Runs the calls of one agent in one live task.

    Args:
        agent_id: Who works.
        level: The agent's level.
        tools: All tools of the task.
        capability_levels: The capabilities' own levels; one not named is a STUDENT's.
        approve: Asks a human; None refuses whatever would need one.
    """

    def __init__(
        self,
        agent_id: str,
        level: Level,
        tools: Sequence[LiveTool],
        *,
        capability_levels: Mapping[str, Level] | None = None,
        approve: Approve | None = None,
    ) -> None:
        self._agent_id = agent_id
        self._level = level
        self._own = dict(capability_levels or {})
        self._approve = approve
        self._tools = {tool.spec.name: tool for tool in tools}
        self.refused: list[str] = []
        self.approvals: list[Answered] = []

    def level_of(self, tool: LiveTool) -> Level:
        """Return the level that counts for a tool."""
        return self._own.get(tool.capability, Level.STUDENT) if tool.capability else self._level

    def permission_of(self, name: str) -> Permission:
        """Return what may be done with a tool; a tool nobody knows is forbidden."""
        tool = self._tools.get(name)
        if tool is None:
            return Permission.FORBIDDEN
        return permission(self.level_of(tool), tool.action)

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools the agent is told of."""
        return tuple(
            tool.spec
            for name, tool in self._tools.items()
            if self.permission_of(name) is not Permission.FORBIDDEN
        )

    async def run(self, use: ToolUse) -> ToolOutput:
        """Run one call, or say why not."""
        allowed, tool = self.permission_of(use.name), self._tools.get(use.name)
        if tool is None or allowed is Permission.FORBIDDEN:
            level = self.level_of(tool) if tool else self._level
            return self._refuse(use, f"{use.name} is not allowed at level {level.value}")
        if allowed is Permission.NEEDS_APPROVAL:
            if self._approve is None:
                return self._refuse(use, f"{use.name} needs a human's approval; nobody is there")
            asked = Ask(
                agent_id=self._agent_id,
                tool=use.name,
                arguments=dict(use.input),
                level=self.level_of(tool),
            )
            answered = await self._approve(asked)
            self.approvals.append(answered)
            if not answered.approved:
                why = f": {answered.reason}" if answered.reason else ""
                return self._refuse(use, f"{answered.by or 'a human'} refused {use.name}{why}")
        try:
            content = await tool.handler(use.input)
        except (ValueError, KeyError, OSError) as error:  # the tool's complaint is an answer
            return ToolOutput(call_id=use.id, content=f"{use.name}: {error}", is_error=True)
        return ToolOutput(call_id=use.id, content=content)

    def _refuse(self, use: ToolUse, why: str) -> ToolOutput:
        self.refused.append(f"{why} ({json.dumps(use.input, ensure_ascii=False)[:200]})")
        return ToolOutput(call_id=use.id, content=f"Not done: {why}.", is_error=True)


class _UntilSubmitted:
    """A live toolbox with a call that ends the work."""

    def __init__(self, toolbox: LiveToolbox) -> None:
        self._toolbox = toolbox

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return (*self._toolbox.specs, SUBMIT)

    async def run(self, use: ToolUse) -> CallResult:
        if use.name == SUBMIT.name:
            output = ToolOutput(call_id=use.id, content="Submitted.")
            return CallResult(output, output.content, submitted=str(use.input.get("message", "")))
        output = await self._toolbox.run(use)
        return CallResult(output, shorten(output.content))


async def work_live(
    toolbox: LiveToolbox,
    *,
    model: Model,
    scope: str,
    instruction: str,
    system_prompt: str,
    effort: Effort | None = None,
) -> LiveResult:
    """Let an agent do a live task with the tools it is allowed.

    Args:
        toolbox: Its tools.
        model: The agent's model.
        scope: Of its model calls: the episode's id.
        instruction: What is to be done.
        system_prompt: The agent's own.
        effort: Its limits.
    """
    brief = Brief(
        episode_id=scope,
        task_id="live",
        instruction=instruction,
        system_prompt=system_prompt,
        effort=effort or Effort(max_steps=30),
    )
    meter, record = Meter(brief.effort), Recorder()
    talk = Conversation.of_brief(brief, model, meter, record)
    record.add(StepKind.SYSTEM, brief.system_prompt)
    record.add(StepKind.USER, brief.instruction)
    trajectory = await converse(talk, _UntilSubmitted(toolbox), meter, record)
    return LiveResult(
        trajectory=trajectory,
        deeds=_deeds(trajectory),
        refused=tuple(toolbox.refused),
        approvals=tuple(toolbox.approvals),
        offered=tuple(spec.name for spec in toolbox.specs),
    )


def _deeds(trajectory: Trajectory) -> tuple[RecordedAction, ...]:
    """Return what was done and said; a call that was not run is no deed, but it is told."""
    found: list[RecordedAction] = []
    now = utc_now()
    for step in trajectory.steps:
        if step.kind is not StepKind.AGENT:
            continue
        if step.message.strip():
            found.append(RecordedAction(text=step.message, at=step.at))
        outputs = {output.call_id: output for output in step.outputs}
        for call in step.calls:
            output = outputs.get(call.call_id)
            refused = output is not None and output.content.startswith("Not done: ")
            if not refused:
                found.append(
                    RecordedAction(tool=call.name, fields=call.arguments, at=step.at or now)
                )
    return tuple(found)
