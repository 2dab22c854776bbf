"""Promotion, with a person's answer."""

import asyncio
from functools import partial
from typing import Annotated

from prefect import flow

from grindstone.base import Frozen
from grindstone.blocks import BlockNames, configure
from grindstone.errors import InternalError, RefusedError
from grindstone.flows.exam import exam
from grindstone.flows.run import checked
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.decisions.approval import named_in_form
from grindstone.graduation.decisions.promotion import obstacles
from grindstone.graduation.evidence.requirements import Criterion, Requirement, only_missing
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.service import GraduationService
from grindstone.graduation.words import readiness_markdown
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import GraduationSettings
from grindstone.settings.forms import GRADUATE
from grindstone.tasks.approval import NOBODY_ANSWERED, Answer, ask
from grindstone.tasks.flow_runs import named, run_key_of, run_log
from grindstone.tasks.graduation import notify, open_service, seal_changes
from grindstone.tasks.publish_autonomy import publish_trail
from grindstone.tasks.refusal import told_plainly


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
