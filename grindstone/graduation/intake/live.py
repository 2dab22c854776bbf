"""Live work under permissions: an agent is given the tools its level allows, and no others.

Enforced twice: a forbidden tool is not among those the model is told of, and a call of one
is refused all the same. What a SUPERVISED agent would change waits for a human's answer
before it is done. Attempts in training sandboxes go another way and are not restricted.
"""

import json
import math
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from typing import NamedTuple

from pydantic import Field, JsonValue, ValidationError

from grindstone.agents.conversation import Conversation
from grindstone.agents.limits import Meter
from grindstone.agents.loop import CallResult, converse
from grindstone.agents.protocol import Brief, Effort
from grindstone.agents.recorder import Recorder
from grindstone.base import Frozen
from grindstone.errors import InputError, RefusedError
from grindstone.graduation.intake.live_actions import OVER_TIME, LiveActions
from grindstone.graduation.intake.recording import RecordedAction
from grindstone.graduation.intake.time_limit import TOOL_TIMEOUT_S, OverTimeError, within
from grindstone.graduation.rules.levels import (
    ActionClass,
    Level,
    Permission,
    lower_of,
    permission,
)
from grindstone.llm.messages import Model, ToolSpec, ToolUse
from grindstone.records import Step, StepKind, ToolOutput, Trajectory, utc_now
from grindstone.skills import Skill
from grindstone.text import shorten

Handler = Callable[[Mapping[str, JsonValue]], Awaitable[str]]
"""Does what a tool does and returns what the agent is told of it."""

SUBMIT = ToolSpec(
    name="submit",
    description="Say that the work is done; nothing can be done afterwards.",
    input_schema={
        "type": "object",
        "properties": {
            "message": {"type": "string", "description": "What was done."},
            "confidence": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "description": "How sure you are that the work is right, from 0 to 1.",
            },
        },
        "required": ["message"],
    },
)
LOAD_SKILL = "load_skill"
COMPLAINTS = (ValueError, KeyError, OSError)
"""What a tool raises to tell the agent that a call cannot be done; anything else is a fault."""


class LevelLostError(RefusedError):
    """The agent lost its level while it worked; the task ends before its next action."""


class LiveTool(NamedTuple):
    """A tool of a live task."""

    spec: ToolSpec
    action: ActionClass
    handler: Handler
    capability: str = ""  # where it names one, that capability's level counts, not the agent's
    timeout_s: float | None = None  # of a call; None: the task's


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
Standing = Callable[[], Awaitable[tuple[Level, Mapping[str, Level]]]]
"""Tells an agent's level and those of its capabilities as they are now."""


class LiveResult(Frozen):
    """What came of a live task."""

    trajectory: Trajectory
    deeds: tuple[RecordedAction, ...] = Field(
        description="What was done or said, as an episode keeps it."
    )
    refused: tuple[str, ...] = Field((), description="Calls that were not run, one sentence each.")
    called_off: tuple[str, ...] = Field((), description="Calls that took too long, likewise.")
    approvals: tuple[Answered, ...] = ()
    offered: tuple[str, ...] = Field((), description="The tools the agent was given.")
    confidence: float | None = Field(None, description="As the agent stated it, from 0 to 1.")
    skills: tuple[str, ...] = Field((), description="Those it read.")
    capabilities: tuple[str, ...] = Field((), description="Those its actions used.")


class LiveToolbox:
    """Runs the calls of one agent in one live task.

    Args:
        agent_id: Who works.
        level: The agent's level.
        tools: All tools of the task.
        capability_levels: The capabilities' own levels; one not named is a STUDENT's.
        approve: Asks a human; None refuses whatever would need one.
        actions: Where each action is written down before it runs; None: nowhere.
        standing: Asked before each action: where the level is lower than at the start the task
            ends there. None: the level is taken as given.
        tool_timeout_s: Seconds a call may take; then it is called off, and the task goes on.

    Raises:
        InputError: Two tools have one name; or one has a taken name, no time or no action class.
    """

    def __init__(
        self,
        agent_id: str,
        level: Level,
        tools: Sequence[LiveTool],
        *,
        capability_levels: Mapping[str, Level] | None = None,
        approve: Approve | None = None,
        actions: LiveActions | None = None,
        standing: Standing | None = None,
        tool_timeout_s: float = TOOL_TIMEOUT_S,
    ) -> None:
        self._agent_id = agent_id
        self._level = level
        self._own = dict(capability_levels or {})
        self._approve = approve
        self._tools = _by_name(tools)
        self._actions, self._standing = actions, standing
        self._tool_timeout_s = tool_timeout_s
        self.called_off: list[str] = []
        self.refused: list[str] = []
        self.refused_calls: set[str] = set()
        self.approvals: list[Answered] = []
        self.said: list[RecordedAction] = []
        self.deeds: list[RecordedAction] = []
        self.capabilities: dict[str, None] = {}

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
        """Run one call, or say why not.

        Raises:
            LevelLostError: The agent's level is lower than when the task began.
            Exception: What a tool raises that is no complaint; the action is on record.
        """
        await self._look_again()
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
            await self._look_again()  # an answer may take days
            if self.permission_of(use.name) is Permission.FORBIDDEN:
                lost = self.level_of(tool)
                return self._refuse(use, f"{use.name} is not allowed at level {lost.value}")
            if not answered.approved:
                why = f": {answered.reason}" if answered.reason else ""
                return self._refuse(use, f"{answered.by or 'a human'} refused {use.name}{why}")
        return await self._act(tool, use)

    async def _act(self, tool: LiveTool, use: ToolUse) -> ToolOutput:
        actions = self._actions
        position = 0
        try:
            deed = RecordedAction(tool=use.name, fields=use.input, at=utc_now())
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            return self._refuse(use, f"{use.name} cannot be recorded: {problem}")
        if actions is not None:
            position = await actions.begin(
                use, level=self.level_of(tool), capability=tool.capability
            )
        self.deeds.append(deed)
        if tool.capability:
            self.capabilities[tool.capability] = None
        status, told = "cut off", ""
        try:
            limit_s = tool.timeout_s or self._tool_timeout_s
            told = _as_text(await within(limit_s, use.name, tool.handler(use.input)))
            status = "done"
        except OverTimeError as error:
            status, told = OVER_TIME, str(error)
            self.called_off.append(told)
        except COMPLAINTS as error:  # the tool's complaint is an answer
            status, told = "complained", f"{use.name}: {error}"
        except Exception as error:
            status, told = "raised", f"{type(error).__name__}: {error}"
            raise
        finally:
            if actions is not None:
                actions.end(position, status=status, detail=told)
        return ToolOutput(call_id=use.id, content=told, is_error=status != "done")

    async def _look_again(self) -> None:
        """End the task where the agent lost its level meanwhile; a higher one opens nothing."""
        if self._standing is None:
            return
        level, own = await self._standing()
        if level.rank < self._level.rank:
            raise LevelLostError(
                f"{self._agent_id} lost its level while it worked: {self._level.value} → "
                f"{level.value}; the task has ended before its next action"
            )
        for name in self._own:
            if name in own:
                self._own[name] = lower_of(self._own[name], own[name])

    def _refuse(self, use: ToolUse, why: str) -> ToolOutput:
        self.refused_calls.add(use.id)
        self.refused.append(f"{why} ({json.dumps(use.input, ensure_ascii=False)[:200]})")
        return ToolOutput(call_id=use.id, content=f"Not done: {why}.", is_error=True)


def _by_name(tools: Sequence[LiveTool]) -> dict[str, LiveTool]:
    """Return tools by their names, which are all they are told apart by."""
    found: dict[str, LiveTool] = {}
    for tool in tools:
        name = tool.spec.name
        if name in (SUBMIT.name, LOAD_SKILL):
            raise InputError(f"tool {name}", "has a name that is taken", "another one")
        if name in found:
            raise InputError(f"tool {name}", "is there twice", "a name for each tool")
        if tool.timeout_s is not None and not 0 < tool.timeout_s < math.inf:
            raise InputError(f"tool {name}: timeout_s", f"is {tool.timeout_s}", "seconds above 0")
        if not isinstance(tool.action, ActionClass):
            known = ", ".join(each.name for each in ActionClass)
            raise InputError(f"tool {name}: action", f"is {tool.action!r}", f"one of {known}")
        found[name] = tool
    return found


def _as_text(told: object) -> str:
    """Return what a tool told; whatever else it returned is spelled, for what it did is done."""
    if isinstance(told, str):
        return told
    return "" if told is None else str(told)


class _UntilSubmitted:
    """A live toolbox with a call that ends the work."""

    def __init__(self, toolbox: LiveToolbox, skills: Sequence[Skill] = ()) -> None:
        self._toolbox = toolbox
        self._skills = {skill.name: skill for skill in skills}
        self.loaded: dict[str, None] = {}
        self.confidence: float | None = None

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return (*self._toolbox.specs, *([self._load_skill] if self._skills else []), SUBMIT)

    @property
    def _load_skill(self) -> ToolSpec:
        listed = "\n".join(f"- {each.name}: {each.description}" for each in self._skills.values())
        return ToolSpec(
            name=LOAD_SKILL,
            description=f"Read one of your skills:\n{listed}",
            input_schema={
                "type": "object",
                "properties": {"name": {"type": "string", "enum": list(self._skills)}},
                "required": ["name"],
            },
        )

    async def run(self, use: ToolUse) -> CallResult:
        if use.name == SUBMIT.name:
            stated = use.input.get("confidence")
            if isinstance(stated, int | float) and not isinstance(stated, bool):
                self.confidence = float(stated) if 0 <= stated <= 1 else self.confidence
            output = ToolOutput(call_id=use.id, content="Submitted.")
            return CallResult(output, output.content, submitted=str(use.input.get("message", "")))
        skill = self._skills.get(str(use.input.get("name"))) if use.name == LOAD_SKILL else None
        if skill is not None:
            self.loaded[skill.name] = None
            return CallResult(ToolOutput(call_id=use.id, content=skill.body), skill.body)
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
    skills: Sequence[Skill] = (),
) -> LiveResult:
    """Let an agent do a live task with the tools it is allowed.

    Args:
        toolbox: Its tools.
        model: The agent's model.
        scope: Of its model calls: the episode's id.
        instruction: What is to be done.
        system_prompt: The agent's own.
        effort: Its limits.
        skills: Those it may read.

    Raises:
        LevelLostError: The agent lost its level while it worked.
        Exception: What a tool or the model raised; the toolbox tells what was done until then.
    """
    brief = Brief(
        episode_id=scope,
        task_id="live",
        instruction=instruction,
        system_prompt=system_prompt,
        effort=effort or Effort(max_steps=30),
    )

    def hear(step: Step) -> None:
        if step.kind is StepKind.AGENT and step.message.strip():
            toolbox.said.append(RecordedAction(text=step.message, at=step.at))

    meter, record = Meter(brief.effort), Recorder(hear)
    talk = Conversation.of_brief(brief, model, meter, record)
    record.add(StepKind.SYSTEM, brief.system_prompt)
    record.add(StepKind.USER, brief.instruction)
    box = _UntilSubmitted(toolbox, skills)
    trajectory = await converse(talk, box, meter, record)
    return LiveResult(
        trajectory=trajectory,
        deeds=_deeds(trajectory, toolbox.refused_calls),
        refused=tuple(toolbox.refused),
        called_off=tuple(toolbox.called_off),
        approvals=tuple(toolbox.approvals),
        offered=tuple(spec.name for spec in toolbox.specs),
        confidence=box.confidence,
        skills=tuple(box.loaded),
        capabilities=tuple(toolbox.capabilities),
    )


def _deeds(trajectory: Trajectory, refused: Container[str]) -> tuple[RecordedAction, ...]:
    """Return what was done and said; a call that was not run is no deed, but it is told."""
    found: list[RecordedAction] = []
    now = utc_now()
    for step in trajectory.steps:
        if step.kind is not StepKind.AGENT:
            continue
        if step.message.strip():
            found.append(RecordedAction(text=step.message, at=step.at))
        found += [
            RecordedAction(tool=call.name, fields=call.arguments, at=step.at or now)
            for call in step.calls
            if call.call_id not in refused
        ]
    return tuple(found)
