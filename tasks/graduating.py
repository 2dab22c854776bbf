"""Graduation's steps: the service of a home, events, notifications, what the UI shows."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block

from grindstone.blocks import credentials
from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.signing import sign_end
from grindstone.graduation.audit.trail import Trail, to_markdown, trail_plots
from grindstone.graduation.decisions.exam import Examiner, ExamResult
from grindstone.graduation.decisions.review import Decision, Review
from grindstone.graduation.evidence.readiness import NAMES, Readiness
from grindstone.graduation.service import GraduationService
from grindstone.llm import open_models
from grindstone.settings import GraduationSettings
from grindstone.tasks.artifacts import artifact_key, artifact_link, publish_markdown, publish_table
from grindstone.tasks.progress import Note, current_watcher
from grindstone.tasks.telling import tell_events


@contextlib.asynccontextmanager
async def open_service(
    settings: GraduationSettings,
    *,
    run_key: str,
    examiner: Examiner | None = None,
    model_block: str | None = None,
) -> AsyncIterator[GraduationService]:
    """Yield the service of a home, with a judge where the settings name one.

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
        yield service
        return
    async with open_models(
        run_key=run_key,
        journal_dir=home.run(run_key).journal,
        max_cost_usd=settings.max_cost_usd,
        max_tokens_total=settings.max_tokens_total,
        environ=await credentials(model_block),
    ) as models:
        service.judge = models.get(settings.judge_model_id, settings.region)
        yield service


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


NEXT = {
    "exam_due": "run the deployment exam/exam for it",
    "approval_due": "run the deployment graduate/graduate for it with `ask` on, and answer there",
    "proposed": "run graduate/graduate for it, or `grindstone demote`, as the reason says",
}
"""What a person does about a review's finding."""


async def publish_review(found: Review) -> None:
    """Show a review as a table: every agent, what is missing, what was done."""
    await publish_table(
        "graduation-review",
        [
            {
                "agent": artifact_link(trail_key(item.agent_id), item.agent_id),
                "level": item.level.value,
                "next": item.target.value if item.target else "",
                "score": f"{item.score:.1f}",
                "ready": "✓" if item.ready else "",
                "action": item.action.replace("_", " "),
                "why": item.reason,
                "what to do": NEXT.get(item.action, ""),
                "most to gain in": NAMES.get(item.weakest, ""),
            }
            for item in found.decisions
        ],
        description=review_line(found),
    )


def trail_key(agent_id: str) -> str:
    """Return the key of an agent's graduation report."""
    return artifact_key("graduation", agent_id)


async def publish_trail(trail: Trail) -> None:
    """Show an agent's graduation report, plots included."""
    images = await asyncio.to_thread(trail_plots, trail)
    await publish_markdown(
        trail_key(trail.agent_id),
        to_markdown(trail, images),
        description=f"{trail.agent_name}: {trail.current_maturity.value}",
    )


async def publish_exam(found: ExamResult) -> None:
    """Show an exam: what was attempted and what came of it."""
    rows = [
        f"| {'✓' if case.passed else '⚠' if case.passed is None else '✗'} | {case.title} | "
        f"{case.detail} | `{case.case_id}` |"
        for case in found.cases
    ]
    cost = "unknown" if found.cost_usd is None else f"${found.cost_usd:.4f}"
    rehearsal = "> A rehearsal: the offline stand-in took it.\n\n" if found.rehearsal else ""
    table = "\n".join(["| | case | what came of it | id |", "|---|---|---|---|", *rows])
    await publish_markdown(
        artifact_key("exam", found.agent_id),
        f"# Exam of {found.agent_id} for {found.target.value}: "
        f"{'passed' if found.passed else 'not passed'}\n\n{rehearsal}{found.reason}; cost {cost}."
        f"\n\n{table if found.cases else ''}\n",
        description=found.reason,
    )


def review_line(found: Review) -> str:
    """Return a review in one sentence."""
    counts: dict[str, int] = {}
    for item in found.decisions:
        counts[item.action] = counts.get(item.action, 0) + 1
    told = ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if name != "none"
    )
    return f"{len(found.decisions)} agents reviewed: {told or 'nothing changes'}"


def decision_line(item: Decision) -> str:
    """Return what a review concluded about an agent, in one line."""
    target = f" → {item.target.value}" if item.target else ""
    action = "" if item.action == "none" else f" [{item.action.replace('_', ' ')}]"
    return (
        f"{item.agent_id}: {item.level.value}{target}, {item.score:.1f}/100{action}: {item.reason}"
    )


def readiness_markdown(found: Readiness) -> str:
    """Return what a person is shown who is to approve a promotion."""
    parts = [
        f"## {found.agent_id}: {found.current.value} → {found.target.value}?",
        *([f"**{found.rehearsal_note}**"] if found.rehearsal_note else []),
        found.recommendation,
        f"Score {found.score:.1f} of 100. Interventions: {found.intervention_rate:.1%} observed, "
        f"at most {found.intervention_rate_upper:.1%} (95%).",
        "\n".join(
            f"- {'✓' if item.met else '✗'} {item.name.replace('_', ' ')}: {item.observed} "
            f"({item.required})"
            for item in found.requirements
        ),
    ]
    return "\n\n".join(parts)
