"""Promotion with a person's answer, and live work under permissions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated

from prefect import flow
from pydantic import JsonValue

from grindstone.base import Frozen
from grindstone.blocks import BlockNames, configure, credentials
from grindstone.errors import InternalError, RefusedError
from grindstone.flows.exam import exam
from grindstone.flows.run import checked
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.decisions.approval import named_in_form
from grindstone.graduation.decisions.lapse import lapse_all_changed
from grindstone.graduation.decisions.promotion import obstacles
from grindstone.graduation.evidence.identity import OWN_LOOP, identity_of
from grindstone.graduation.evidence.requirements import Criterion, Requirement, only_missing
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
from grindstone.graduation.intake.under_way import LiveTask, under_way
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.service import GraduationService
from grindstone.graduation.words import readiness_markdown
from grindstone.llm import open_models, resolve_model_id
from grindstone.records import utc_now
from grindstone.runs.plan import open_workspace
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import GraduationSettings
from grindstone.settings.forms import GRADUATE
from grindstone.skills import SkillLibrary
from grindstone.tasks.approval import NOBODY_ANSWERED, Answer, ask
from grindstone.tasks.events import tell_episode
from grindstone.tasks.flow_runs import named, run_key_of, run_log
from grindstone.tasks.graduation import notify, open_service, seal_changes
from grindstone.tasks.publish_autonomy import publish_trail
from grindstone.tasks.refusal import told_plainly

Check = Callable[[LiveResult], Awaitable[bool]]
"""Tells whether live work was done as it was asked for."""


class Graduated(Frozen):
    """What became of a wish for promotion."""

    agent_id: str
    scope: str = ""  # the part of its work that is meant; empty: all of it
    level: Level
    target: Level
    promoted: bool
    missing: tuple[str, ...] = ()
    answer: Answer | None = None
    event: AuditEvent | None = None

    @property
    def sentence(self) -> str:
        """What became of it, in words: a line, and one for each thing that is missing."""
        where = f" in {self.scope}" if self.scope else ""
        if self.event is not None:
            return (
                f"{self.agent_id} is {self.level.value}{where} now (event {self.event.sequence})."
            )
        gaps = "\n".join(f"  - {gap}" for gap in self.missing)
        return f"{self.agent_id} stays {self.level.value}{where}; for {self.target.value}:\n{gaps}"


@flow(name="graduate", flow_run_name=named("graduate"), cache_result_in_memory=False)
@told_plainly
async def graduate(
    settings: Annotated[GraduationSettings, GRADUATE] = GraduationSettings(),
    blocks: BlockNames = BlockNames(),
) -> Graduated:
    """Promote an agent by one level, if its record, its exam and a person allow it.

    With `ask` the flow pauses, and the person answers in the Prefect UI under Resume in the run's
    menu; nobody is asked about an agent that lacks anything but the answer.
    """
    settings = await configure(settings, blocks)
    await checked("graduate", settings, blocks)
    key = run_key_of("graduate", settings.run_key)
    agent_id = settings.agent_id
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        known = len(await asyncio.to_thread(service.registry.chain.events))
        scope = service.registry.scope_name(agent_id, settings.scope)
        target = await asyncio.to_thread(
            service.registry.target_of, agent_id, settings.target, scope
        )
        try:
            found = await _graduate(service, settings, blocks, target, scope)
            found = found.model_copy(update={"scope": scope})
            run_log()(Note(found.sentence))
            return found
        finally:
            await seal_changes(service, known, settings)
            await publish_trail(await service.trail(agent_id, scope))


async def _graduate(
    service: GraduationService,
    settings: GraduationSettings,
    blocks: BlockNames,
    target: Level,
    scope: str,
) -> Graduated:
    agent_id, answer, human = settings.agent_id, None, settings.validated_by
    asked = await _requirements(service, agent_id, target, human, scope)
    if (
        settings.ask
        and not only_missing(asked, Criterion.APPROVAL)
        and only_missing(asked, Criterion.EXAM, Criterion.APPROVAL)
    ):
        try:
            await exam(settings.model_copy(update={"run_key": None}), blocks)
        except InternalError as error:  # it is not passed, and the agent is told what it lacks
            current_watcher()(Note(str(error)))
        asked = await _requirements(service, agent_id, target, human, scope)
    refused = ""
    if settings.ask and only_missing(asked, Criterion.APPROVAL):
        readiness = await service.assess(agent_id, target, scope=scope)
        question = readiness_markdown(readiness)
        await notify(settings, f"Grindstone: approve {agent_id} for {target.value}?", question)
        answer = await ask(
            question,
            timeout_s=settings.approval_timeout_s,
            key="promotion",
            person=partial(named_in_form, service.registry, agent_id, scope=scope),
        )
        if answer.by != NOBODY_ANSWERED:
            await service.answer_proposal(
                agent_id,
                target,
                approved=answer.approved,
                by=answer.by,
                reason=answer.reason,
                channel="ui",
                scope=scope,
            )
        human = answer.by if answer.approved else ""
        asked = await _requirements(service, agent_id, target, human, scope)
        if not answer.approved:
            why = f": {answer.reason}" if answer.reason else ""
            refused = f"{answer.by} refused it{why}"
    missing = [
        item.gap
        for item in asked
        if not item.met and not (refused and item.criterion is Criterion.APPROVAL)
    ]
    missing += [refused] if refused else []
    level = (await asyncio.to_thread(service.registry.agent, agent_id, scope)).level
    if missing:
        return Graduated(
            agent_id=agent_id,
            level=level,
            target=target,
            promoted=False,
            missing=tuple(missing),
            answer=answer,
        )
    try:
        event = await service.promoted(agent_id, target, human, scope)
    except RefusedError as error:  # it changed between the question and the answer
        return Graduated(
            agent_id=agent_id,
            level=level,
            target=target,
            promoted=False,
            missing=(str(error),),
            answer=answer,
        )
    return Graduated(
        agent_id=agent_id, level=target, target=target, promoted=True, answer=answer, event=event
    )


async def _requirements(
    service: GraduationService, agent_id: str, target: Level, human: str, scope: str
) -> tuple[Requirement, ...]:
    readiness = await service.assess(agent_id, target, scope=scope)
    agent = await asyncio.to_thread(service.registry.agent, agent_id, scope)
    return await asyncio.to_thread(
        obstacles, service.registry, agent, readiness, validated_by=human
    )


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
        Exception: What a tool or the model's service raised; the episode is kept.
    """
    settings = await configure(settings, blocks)
    key = run_key_of("live", settings.run_key)
    agent_id, started = settings.agent_id, utc_now()
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        registry = service.registry
        known = len(await asyncio.to_thread(registry.chain.events))
        workspace = await asyncio.to_thread(open_workspace, settings)
        model = resolve_model_id(settings.model_id, await credentials(blocks.model))
        present = await asyncio.to_thread(
            partial(
                identity_of,
                registry,
                agent_id,
                **({} if model.rehearsal else {"model": model.model_id, "program": OWN_LOOP}),
            )
        )
        await asyncio.to_thread(lapse_all_changed, registry, agent_id, present)
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
        subject = begun.subject
        trusted = await asyncio.to_thread(registry.agent_for, agent_id, subject)
        asked, run_key = 0, live_run(agent_id, started)

        async def approve(what: Ask) -> Answered:
            nonlocal asked
            asked += 1
            said = await ask(
                _question(what),
                timeout_s=settings.approval_timeout_s,
                key=f"action-{asked}",
                person=partial(named_in_form, registry, agent_id, scope=trusted.scope),
            )
            await asyncio.to_thread(service.registry.chain.append, lambda _: _action(what, said))
            return Answered(approved=said.approved, by=said.by, reason=said.reason)

        async with under_way(registry, begun, run_key) as task:

            async def standing() -> tuple[Level, Mapping[str, Level]]:
                await asyncio.to_thread(task.look)
                agent = await asyncio.to_thread(registry.agent_for, agent_id, subject)
                return agent.level, agent.capability_levels

            toolbox = LiveToolbox(
                agent_id,
                trusted.level,
                tools,
                capability_levels={item.capability: item.level for item in own.capabilities},
                approve=approve,
                actions=LiveActions(registry, episode_id=key, run_key=run_key, agent_id=agent_id),
                standing=standing,
            )
            try:
                async with open_models(
                    run_key=key,
                    journal_dir=settings.home.run(key).journal,
                    spending=settings.spending,
                    environ=await credentials(blocks.model),
                ) as models:
                    result = await work_live(
                        toolbox,
                        model=models.get(model.model_id, settings.region),
                        scope=key,
                        instruction=instruction,
                        system_prompt=workspace.files.system_prompt(),
                        skills=SkillLibrary(workspace.files.root).skills(),
                    )
                ended = result.trajectory.stop_reason.value == "submitted"
                done = ended if check is None else await check(result)
            except BaseException as error:
                work = cut_work(begun, toolbox, error)
                await asyncio.shield(_keep(service, task, work, known, settings))
                raise
            finished = finished_work(begun, result, success=done, verified=check is not None)
            await _keep(service, task, finished, known, settings)
        await publish_trail(await service.trail(agent_id))
    return result


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
    lines = "\n".join(f"- **{name}**: `{value}`" for name, value in what.arguments.items())
    return (
        f"## {what.agent_id} ({what.level.value}) wants to run `{what.tool}`\n\n{lines}\n\n"
        "It changes something outside. Nothing happens until you answer."
    )


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
