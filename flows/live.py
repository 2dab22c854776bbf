"""Live work under permissions: the tools an agent's level allows, kept as an episode."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from prefect import flow
from pydantic import JsonValue

from grindstone.blocks import BlockNames, configure, credentials
from grindstone.graduation.audit.event import EventDraft, EventKind
from grindstone.graduation.decisions.approval import named_in_form
from grindstone.graduation.decisions.lapse import lapse_all_changed
from grindstone.graduation.evidence.identity import OWN_LOOP, AgentIdentity, identity_of
from grindstone.graduation.intake.live import (
    Answered,
    Ask,
    LiveResult,
    LiveTool,
    LiveToolbox,
    work_live,
)
from grindstone.graduation.intake.live_actions import LiveActions
from grindstone.graduation.intake.live_work import cut_work, finished_work
from grindstone.graduation.intake.recording import Work, live_run
from grindstone.graduation.intake.time_limit import within
from grindstone.graduation.intake.under_way import LiveTask, under_way
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.service import GraduationService
from grindstone.llm import open_models, resolve_model_id
from grindstone.llm.providers import Resolved
from grindstone.records import utc_now
from grindstone.runs.plan import open_workspace
from grindstone.settings import GraduationSettings
from grindstone.skills import SkillLibrary
from grindstone.tasks.approval import Answer, ask
from grindstone.tasks.events import tell_episode
from grindstone.tasks.flow_runs import named, run_key_of
from grindstone.tasks.graduation import open_service, seal_changes
from grindstone.tasks.publish_autonomy import publish_trail
from grindstone.workspace import Workspace

Check = Callable[[LiveResult], Awaitable[bool]]
"""Tells whether live work was done as it was asked for."""


@flow(
    name="live",
    flow_run_name=named("live"),
    cache_result_in_memory=False,
    validate_parameters=False,  # the tools hold functions
)
async def live(
    instruction: str,
    tools: Sequence[LiveTool],
    settings: GraduationSettings = GraduationSettings(),
    blocks: BlockNames = BlockNames(),
    title: str = "",
    category: str = "",
    capability: str = "",
    tags: Sequence[str] = (),
    metadata: Mapping[str, JsonValue] | None = None,
    check: Check | None = None,
) -> LiveResult:
    """Let an agent do real work with the tools its level allows; keep it as an episode.

    The level is that of the work's scope, by its title, category, capability, tags and metadata.
    A tool above the level is not given to it; a state change of a SUPERVISED agent waits for
    a person's answer in the UI. Each action is in the ledger before it runs. Whatever ends the
    work, an error or a level lost meanwhile, an episode tells what was done until then. Tools are
    functions, so this flow is called from Python.

    Args:
        instruction: What is to be done.
        tools: Everything the work could need.
        settings: Agent, model, ceilings, how long an approval is waited for.
        blocks: Saved blocks.
        title: The episode's; the instruction's first line by default.
        category: The kind of work, as tasks have one.
        capability: What the episode counts for; the one its tools name by default.
        tags: The episode's.
        metadata: The episode's; fields of it may tell a scope, such as a province.
        check: Tells whether the work was done, which verifies the outcome; without it an agent
            that says so is taken at its word, and no capability rises by that alone.

    Raises:
        InputError: There is an episode of the run key, or a process is at work on it.
        LevelLostError: The agent lost its level while it worked.
        TakenOverError: Another machine has settled it, since this one gave no sign of life.
        OverTimeError: The check did not return in time; the episode is kept as not done.
        Exception: What a tool or the model's service raised; the episode is kept.
    """
    settings = await configure(settings, blocks)
    key = run_key_of("live", settings.run_key)
    agent_id = settings.agent_id
    environ = await credentials(blocks.model)
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        registry = service.registry
        events = await asyncio.to_thread(registry.chain.events)
        known = len(events)
        # A clock set back takes no work from under the level it is done at.
        started = max([utc_now(), *(each.at for each in events[-1:])])
        workspace = await asyncio.to_thread(open_workspace, settings)
        model = resolve_model_id(settings.model_id, environ)
        present = await asyncio.to_thread(_lapse_changed, registry, agent_id, model)
        own = await service.own_levels(agent_id)
        begun = Work(
            agent_id=agent_id,
            episode_id=key,
            title=(title or instruction).strip().splitlines()[0][:120],
            success=False,
            started_at=started,
            category=category,
            tags=tuple(tags),
            metadata={**(metadata or {}), **({"capability": capability} if capability else {})},
            model=model.model_id,
            workspace_tree=present.workspace_tree,
            rehearsal=model.rehearsal,
        )
        trusted = await asyncio.to_thread(registry.agent_for, agent_id, begun.subject)
        run_key = live_run(agent_id, started)
        async with under_way(registry, begun, run_key) as task:
            toolbox = LiveToolbox(
                agent_id,
                trusted.level,
                tools,
                capability_levels={item.capability: item.level for item in own.capabilities},
                approve=_Approval(registry, settings, trusted.scope),
                actions=LiveActions(registry, episode_id=key, run_key=run_key, agent_id=agent_id),
                standing=partial(_standing, registry, task, begun),
                tool_timeout_s=settings.tool_timeout_s,
            )
            try:
                result = await _worked(
                    toolbox, key, instruction, workspace, settings, model=model, environ=environ
                )
                ended = result.trajectory.stop_reason.value == "submitted"
                done = ended
                if check is not None:
                    done = await within(settings.tool_timeout_s, "the check", check(result))
            except BaseException as error:
                work = cut_work(begun, toolbox, error)
                await asyncio.shield(_keep(service, task, work, known, settings))
                raise
            finished = finished_work(begun, result, success=done, verified=check is not None)
            await _keep(service, task, finished, known, settings)
        await publish_trail(await service.trail(agent_id))
    return result


async def _worked(
    toolbox: LiveToolbox,
    key: str,
    instruction: str,
    workspace: Workspace,
    settings: GraduationSettings,
    *,
    model: Resolved,
    environ: Mapping[str, str],
) -> LiveResult:
    """Let the agent work with its tools, until it says that it is done or something ends it."""
    async with open_models(
        run_key=key,
        journal_dir=settings.home.run(key).journal,
        spending=settings.spending,
        environ=environ,
    ) as models:
        return await work_live(
            toolbox,
            model=models.get(model.model_id, settings.region),
            scope=key,
            instruction=instruction,
            system_prompt=workspace.files.system_prompt(),
            skills=SkillLibrary(workspace.files.root).skills(),
        )


def _lapse_changed(registry: Registry, agent_id: str, model: Resolved) -> AgentIdentity:
    """Return what the agent is at present, with what it had earned as another one lapsed."""
    own = {} if model.rehearsal else {"model": model.model_id, "program": OWN_LOOP}
    present = identity_of(registry, agent_id, **own)
    lapse_all_changed(registry, agent_id, present)
    return present


async def _standing(
    registry: Registry, task: LiveTask, begun: Work
) -> tuple[Level, Mapping[str, Level]]:
    """Return the levels an agent holds now for the work it is at, and that it may go on."""
    await asyncio.to_thread(task.look)
    agent = await asyncio.to_thread(registry.agent_for, begun.agent_id, begun.subject)
    return agent.level, agent.capability_levels


class _Approval:
    """A person's answers to the state changes of one live task; each goes into the audit."""

    def __init__(self, registry: Registry, settings: GraduationSettings, scope: str) -> None:
        self._registry, self._settings, self._scope = registry, settings, scope
        self._asked = 0

    async def __call__(self, what: Ask) -> Answered:
        """Wait for the answer, in the UI."""
        self._asked += 1
        registry, agent_id = self._registry, self._settings.agent_id
        said = await ask(
            _question(what),
            timeout_s=self._settings.approval_timeout_s,
            key=f"action-{self._asked}",
            person=partial(named_in_form, registry, agent_id, scope=self._scope),
        )
        await asyncio.to_thread(registry.chain.append, lambda _: _action(what, said))
        return Answered(approved=said.approved, by=said.by, reason=said.reason)


async def _keep(
    service: GraduationService,
    task: LiveTask,
    work: Work,
    known: int,
    settings: GraduationSettings,
) -> None:
    await asyncio.to_thread(task.end, work)
    tell_episode(await service.record_work(work))
    await seal_changes(service, known, settings)


def _question(what: Ask) -> str:
    lines = "\n".join(f"- {_code(name)}: {_code(value)}" for name, value in what.arguments.items())
    return (
        f"## {what.agent_id} ({what.level.value}) wants to run `{what.tool}`\n\n{lines}\n\n"
        "It changes something outside. Nothing happens until you answer."
    )


def _code(value: JsonValue) -> str:
    """Return an argument as code of one line, of which nothing the agent wrote leads out."""
    told = json.dumps(value, ensure_ascii=False)
    fence = "`" * (1 + max(map(len, re.findall("`+", told)), default=0))
    return f"{fence} {told} {fence}"


def _action(what: Ask, said: Answer) -> EventDraft:
    return EventDraft(
        kind=EventKind.ACTION_APPROVED if said.approved else EventKind.ACTION_REFUSED,
        agent_id=what.agent_id,
        subject=what.tool,
        by=said.by,
        reason=said.reason,
        evidence={"arguments": what.arguments, "level": what.level.value},
        at=utc_now(),
    )
