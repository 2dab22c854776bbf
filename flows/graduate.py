"""Promotion with a person's answer, and live work under permissions."""

import asyncio
from collections.abc import Sequence
from functools import partial

from prefect import flow

from grindstone.base import Frozen
from grindstone.blocks import BlockNames, configure, credentials
from grindstone.errors import InternalError, RefusedError
from grindstone.flows.exam import exam
from grindstone.flows.run import checked
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.decisions.approval import named_in_form
from grindstone.graduation.decisions.promotion import obstacles
from grindstone.graduation.evidence.readiness import Criterion, Requirement, only_missing
from grindstone.graduation.intake.live import (
    Answered,
    Ask,
    LiveResult,
    LiveTool,
    LiveToolbox,
    work_live,
)
from grindstone.graduation.intake.recording import RecordedAction, Work
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.service import GraduationService
from grindstone.graduation.words import readiness_markdown
from grindstone.llm import open_models
from grindstone.records import utc_now
from grindstone.runs.plan import open_workspace
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import GraduationSettings
from grindstone.tasks.approval import NOBODY_ANSWERED, Answer, ask
from grindstone.tasks.events import tell_episode
from grindstone.tasks.flow_runs import run_key_of
from grindstone.tasks.graduation import notify, open_service, seal_changes
from grindstone.tasks.publish_autonomy import publish_trail


class Graduated(Frozen):
    """What became of a wish for promotion."""

    agent_id: str
    level: Level
    target: Level
    promoted: bool
    missing: tuple[str, ...] = ()
    answer: Answer | None = None
    event: AuditEvent | None = None


@flow(name="graduate", flow_run_name="graduate {settings.agent_id}", cache_result_in_memory=False)
async def graduate(
    settings: GraduationSettings = GraduationSettings(),
    blocks: BlockNames = BlockNames(),
) -> Graduated:
    """Promote an agent by one level, if its record, its exam and a person allow it.

    With `ask` the flow pauses, and the person answers in the Prefect UI under Resume; nobody
    is asked about an agent that lacks anything but the answer.
    """
    settings = await configure(settings, blocks)
    await checked("graduate", settings, blocks)
    key = run_key_of("graduate", settings.run_key)
    agent_id = settings.agent_id
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        known = len(await asyncio.to_thread(service.registry.chain.events))
        target = await asyncio.to_thread(service.registry.target_of, agent_id, settings.target)
        try:
            return await _graduate(service, settings, blocks, target)
        finally:
            await seal_changes(service, known, settings)
            await publish_trail(await service.trail(agent_id))


async def _graduate(
    service: GraduationService, settings: GraduationSettings, blocks: BlockNames, target: Level
) -> Graduated:
    agent_id, answer, human = settings.agent_id, None, settings.validated_by
    asked = await _requirements(service, agent_id, target, human)
    if (
        settings.ask
        and not only_missing(asked, Criterion.APPROVAL)
        and only_missing(asked, Criterion.EXAM, Criterion.APPROVAL)
    ):
        try:
            await exam(settings.model_copy(update={"run_key": None}), blocks)
        except InternalError as error:  # it is not passed, and the agent is told what it lacks
            current_watcher()(Note(str(error)))
        asked = await _requirements(service, agent_id, target, human)
    refused = ""
    if settings.ask and only_missing(asked, Criterion.APPROVAL):
        readiness = await service.assess(agent_id, target)
        question = readiness_markdown(readiness)
        await notify(settings, f"Grindstone: approve {agent_id} for {target.value}?", question)
        answer = await ask(
            question,
            timeout_s=settings.approval_timeout_s,
            key="promotion",
            person=partial(named_in_form, service.registry, agent_id),
        )
        if answer.by != NOBODY_ANSWERED:
            await service.answer_proposal(
                agent_id,
                target,
                approved=answer.approved,
                by=answer.by,
                reason=answer.reason,
                channel="ui",
            )
        human = answer.by if answer.approved else ""
        asked = await _requirements(service, agent_id, target, human)
        if not answer.approved:
            why = f": {answer.reason}" if answer.reason else ""
            refused = f"{answer.by} refused it{why}"
    missing = [
        item.gap
        for item in asked
        if not item.met and not (refused and item.criterion is Criterion.APPROVAL)
    ]
    missing += [refused] if refused else []
    level = (await asyncio.to_thread(service.registry.agent, agent_id)).level
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
        event = await service.promoted(agent_id, target, human)
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
    service: GraduationService, agent_id: str, target: Level, human: str
) -> tuple[Requirement, ...]:
    readiness = await service.assess(agent_id, target)
    agent = await asyncio.to_thread(service.registry.agent, agent_id)
    return await asyncio.to_thread(
        obstacles, service.registry, agent, readiness, validated_by=human
    )


@flow(
    name="live",
    flow_run_name="live {settings.agent_id}",
    cache_result_in_memory=False,
    validate_parameters=False,  # the tools hold functions
)
async def live(
    instruction: str,
    tools: Sequence[LiveTool],
    settings: GraduationSettings = GraduationSettings(),
    blocks: BlockNames = BlockNames(),
    title: str = "",
) -> LiveResult:
    """Let an agent do real work with the tools its level allows; keep it as an episode.

    A tool above the level is not given to it; a state change of a SUPERVISED agent waits for
    a person's answer in the UI. Tools are functions, so this flow is called from Python.

    Args:
        instruction: What is to be done.
        tools: Everything the work could need.
        settings: Agent, model, ceilings, how long an approval is waited for.
        blocks: Saved blocks.
        title: The episode's; the instruction's first line by default.
    """
    settings = await configure(settings, blocks)
    key = run_key_of("live", settings.run_key)
    agent_id, started = settings.agent_id, utc_now()
    async with open_service(settings, run_key=key, model_block=blocks.model) as service:
        known = len(await asyncio.to_thread(service.registry.chain.events))
        own = await service.own_levels(agent_id)
        asked = 0

        async def approve(what: Ask) -> Answered:
            nonlocal asked
            asked += 1
            said = await ask(
                _question(what),
                timeout_s=settings.approval_timeout_s,
                key=f"action-{asked}",
                person=partial(named_in_form, service.registry, agent_id),
            )
            await asyncio.to_thread(service.registry.chain.append, lambda _: _action(what, said))
            return Answered(approved=said.approved, by=said.by, reason=said.reason)

        toolbox = LiveToolbox(
            agent_id,
            own.level,
            tools,
            capability_levels={item.capability: item.level for item in own.capabilities},
            approve=approve,
        )
        workspace = await asyncio.to_thread(open_workspace, settings)
        home = settings.home
        async with open_models(
            run_key=key,
            journal_dir=home.run(key).journal,
            spending=settings.spending,
            environ=await credentials(blocks.model),
        ) as models:
            resolved = models.resolve(settings.model_id)
            result = await work_live(
                toolbox,
                model=models.get(resolved.model_id, settings.region),
                scope=key,
                instruction=instruction,
                system_prompt=workspace.files.system_prompt(),
            )
        done = _work(agent_id, key, title or instruction, result, started)
        tell_episode(
            await service.record_work(done.model_copy(update={"rehearsal": resolved.rehearsal}))
        )
        await seal_changes(service, known, settings)
        await publish_trail(await service.trail(agent_id))
    return result


def _work(agent_id: str, key: str, title: str, result: LiveResult, started: object) -> Work:
    refused = [answer for answer in result.approvals if not answer.approved]
    return Work.model_validate(
        {
            "agent_id": agent_id,
            "episode_id": key,
            "title": title.strip().splitlines()[0][:120],
            "success": result.trajectory.stop_reason.value == "submitted",
            "started_at": started,
            "ended_at": utc_now(),
            "actions": result.deeds
            or (RecordedAction(text=result.trajectory.submission or "(nothing)"),),
            "metadata": {"refused_calls": list(result.refused), "offered": list(result.offered)},
            # A person who refuses an action corrects the agent.
            "human_edits": [
                {"field": "action", "reason": answer.reason, "corrected_by": answer.by}
                for answer in refused
            ],
        }
    )


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
