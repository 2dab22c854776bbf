"""Graduation's steps: the service of a home, events, notifications."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block

from grindstone.agents.agent_file import load_agent
from grindstone.agents.program_model import ProgramModel
from grindstone.blocks import credentials
from grindstone.errors import InputError
from grindstone.evolve.session import environment
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.signing import sign_end
from grindstone.graduation.decisions.exam import Examiner
from grindstone.graduation.service import GraduationService
from grindstone.llm import open_models
from grindstone.llm.messages import Model
from grindstone.runs.progress import Note, current_watcher
from grindstone.sandbox import open_provider
from grindstone.sandbox.owner import run_labels
from grindstone.settings import GraduationSettings
from grindstone.tasks.events import tell_events


@contextlib.asynccontextmanager
async def open_service(
    settings: GraduationSettings,
    *,
    run_key: str,
    examiner: Examiner | None = None,
    model_block: str | None = None,
) -> AsyncIterator[GraduationService]:
    """Yield the service of a home, with a judge where the settings name one.

    Live tasks that were cut off with their process are told, and kept as episodes, first.

    Raises:
        InputError: A policy or rule pack cannot be used.
    """
    home = settings.home
    service = await asyncio.to_thread(
        GraduationService,
        home,
        policies=settings.policies_dir,
        constitution=settings.constitution_dir,
        examiner=examiner,
    )
    if settings.judge_model_id is None:
        if settings.judge_agent is not None:
            raise InputError("judge_agent", "has no model to ask", "judge_model_id beside it")
        await _settle(service)
        yield service
        return
    async with (
        open_models(
            run_key=run_key,
            journal_dir=home.run(run_key).journal,
            spending=settings.spending,
            environ=await credentials(model_block),
        ) as models,
        _judge(settings, models.get(settings.judge_model_id, settings.region), run_key) as judge,
    ):
        service.judge = judge
        await _settle(service)
        yield service


@contextlib.asynccontextmanager
async def _judge(settings: GraduationSettings, model: Model, run_key: str) -> AsyncIterator[Model]:
    """Yield who decides judged rules: a model, or a program of others that asks it."""
    if settings.judge_agent is None:
        yield model
        return
    agent = await asyncio.to_thread(load_agent, settings.judge_agent)
    provider = await open_provider(settings.sandbox)
    try:
        image = await environment(provider, agent)
        labels = run_labels(settings.home.root, run_key)
        yield ProgramModel(agent, model, provider, image=image, labels=labels)
    finally:
        await provider.close()


async def _settle(service: GraduationService) -> None:
    for sentence in await service.settle_cut_off():
        current_watcher()(Note(sentence))


async def seal_changes(
    service: GraduationService, known: int, settings: GraduationSettings
) -> tuple[AuditEvent, ...]:
    """Tell of the events since the `known`th, and sign the trail's end if a key is set."""
    events = (await asyncio.to_thread(service.registry.chain.events))[known:]
    tell_events(events)
    if events and settings.signing_key is not None:
        await asyncio.to_thread(sign_end, service.registry.chain, settings.signing_key)
    return events


async def notify(settings: GraduationSettings, subject: str, body: str) -> None:
    """Send a message through the saved notification block, where one is named.

    What was decided stands whether or not word of it arrives; that it did not is told.

    Raises:
        InputError: There is no such block, or it notifies nobody.
    """
    if settings.notify_block is None:
        return
    expected = "a saved notification block as type/name"
    try:
        block: Any = await Block.aload(settings.notify_block)
    except ValueError as error:
        raise InputError("notify_block", f"{settings.notify_block!r}: {error}", expected) from error
    if not isinstance(block, NotificationBlock):
        raise InputError("notify_block", f"{settings.notify_block!r} notifies nobody", expected)
    try:
        await block.notify(body, subject)
    except Exception as error:  # noqa: BLE001 - each block has errors of its own
        current_watcher()(Note(f"{settings.notify_block} was not told: {error}"))
