"""Send a task to the member that does its domain best, and learn from what came of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from prefect import flow
from prefect.runtime import flow_run

from grindstone.base import Frozen
from grindstone.benchmark import Task, load_task, load_tasks
from grindstone.blocks import BlockNames, credentials
from grindstone.competency.checking import check_names
from grindstone.competency.domains import (
    DomainClassifier,
    KeywordClassifier,
    LLMDomainClassifier,
    TagClassifier,
)
from grindstone.competency.free_text import make_task
from grindstone.competency.members import members_of
from grindstone.competency.notation import keywords_of
from grindstone.competency.router import CompetencyRouter, Levels
from grindstone.competency.routing import RoutingDecision, RoutingRules, Trusted
from grindstone.competency.routing_page import decision_sentence, review_text
from grindstone.errors import BudgetExceededError, InputError
from grindstone.flows.run import Run, open_run, prepared
from grindstone.graduation.audit.event import EventDraft, EventKind
from grindstone.graduation.decisions.approval import named_in_form
from grindstone.graduation.registry import Registry, open_desk
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.scope import Subject
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import TrajectoryRow
from grindstone.ledger.tables.autonomy import RoutingAnswerRow
from grindstone.llm import Models, open_models, resolve_model_id
from grindstone.records import Episode, Purpose
from grindstone.report.model import IncidentLine
from grindstone.report.words import duration
from grindstone.resources import bundled
from grindstone.runs.incidents import spared
from grindstone.runs.progress import Note, current_watcher
from grindstone.settings import RouteSettings
from grindstone.settings.forms import ROUTE
from grindstone.tasks.approval import NOBODY_ANSWERED, Answer, ask
from grindstone.tasks.flow_runs import unless_typed
from grindstone.tasks.lost_steps import losses_of
from grindstone.tasks.publish_autonomy import publish_decision
from grindstone.tasks.refusal import told_plainly

Status = Literal["done", "failed", "error", "stopped", "escalated", "declined", "decided"]


class Routed(Frozen):
    """What became of a routed task."""

    status: Status
    decision: RoutingDecision
    response: str = ""  # the agent's closing words
    run_key: str
    episode_id: str = ""
    note: str = ""
    incidents: tuple[IncidentLine, ...] = ()
    """What was lost to errors that nobody foresaw."""


def _name() -> str:
    task = " ".join(flow_run.parameters["settings"].task.split())
    return f"route {task[:60]}{'…' * (len(task) > 60)}"


@flow(name="route", flow_run_name=unless_typed(_name), cache_result_in_memory=False)
@told_plainly
async def route(
    settings: Annotated[RouteSettings, ROUTE] = RouteSettings(),
    blocks: BlockNames = BlockNames(),
) -> Routed:
    """Find a task's domain, choose the member, let it work as far as it may be trusted, learn."""
    async with prepared("route", settings, blocks) as own:
        key = str(own.run_key)
        routed = await _route(own, BlockNames(model=blocks.model), key)
    return routed.model_copy(update={"incidents": await losses_of(own.home, key)})


async def _route(settings: RouteSettings, blocks: BlockNames, key: str) -> Routed:
    home = settings.home
    known = await asyncio.to_thread(_tasks, settings)
    task = await asyncio.to_thread(_task, settings, known, home.routed)
    text = task.instruction if task else settings.task
    if not text.strip():
        raise InputError("task", "is empty", "what is to be done, or a task's id")
    if task is not None and settings.check is not None and task in known:
        told = f"check has no effect: {task.task_id} is a task with tests of its own"
        current_watcher()(Note(told))
    tags = [settings.domain] if settings.domain else [task.category, *task.tags] if task else []
    async with _models(home, settings, blocks) as models:
        levels = partial(_level, settings, task, tags)
        router = await asyncio.to_thread(_router, settings, known, models, Ledger(home), levels)
        decision = await router.adecide(text, tags=tags)
    current_watcher()(Note(decision_sentence(decision)))
    permitted = await _permitted(settings, decision, text, task, key)
    if isinstance(permitted, Routed):
        routed = permitted
    else:
        assert task is not None
        routed = await _attempted(settings, blocks, router, permitted, task)
    with spared("what the UI shows of the decision"):
        await publish_decision(
            routed.decision,
            status=routed.status,
            response=routed.response,
            base=settings.base,
            note=resolve_model_id(settings.model_id, await credentials(blocks.model)).rehearsal,
        )
    return routed


def _tasks(settings: RouteSettings) -> tuple[Task, ...]:
    return load_tasks(settings.tasks_dir or bundled("examples/tasks")).tasks


def _task(settings: RouteSettings, known: tuple[Task, ...], folder: Path) -> Task | None:
    """Return the task with tests: a known one, or free text with its check; else None."""
    named = next((task for task in known if task.task_id == settings.task.strip()), None)
    if named is not None or settings.check is None:
        return named
    return load_task(make_task(folder, settings.task, settings.check, settings.environment_dir))


def _router(
    settings: RouteSettings,
    known: tuple[Task, ...],
    models: Models | None,
    ledger: Ledger,
    levels: Levels,
) -> CompetencyRouter:
    found = settings.domains or sorted({task.category for task in known})
    named = settings.domain
    domains = check_names([*found, named] if named and named not in found else found)
    words = keywords_of(settings.keywords)
    if not words:
        for task in known:
            if task.category in domains:
                words.setdefault(task.category, []).extend(task.tags)
    methods: list[DomainClassifier] = [
        TagClassifier(domains),
        KeywordClassifier(domains, words, min_confidence=settings.min_confidence),
    ]
    if models is not None:
        model = models.get(settings.model_id, settings.region)
        methods.append(LLMDomainClassifier(model, domains, min_confidence=settings.min_confidence))
    return CompetencyRouter(
        members_of(ledger, settings, domains),
        settings.base,
        domains,
        settings.strong_model_id,
        classifiers=methods,
        rules=RoutingRules(
            exploration=settings.exploration, allow_escalated=settings.allow_escalated
        ),
        ledger=ledger,
        levels=levels,
    )


def _level(
    settings: RouteSettings, task: Task | None, tags: Sequence[str], decision: RoutingDecision
) -> Trusted:
    """Return the member's level in the scope of the task."""
    domain = decision.domain if decision.known_domain else ""
    title = task.title or task.task_id if task else decision.task.strip().splitlines()[0]
    labels = task.tags if task else tuple(tags)
    subject = Subject(task.category if task else domain, labels, (), title)
    held = open_desk(settings.home).agent_for(decision.member_name, subject)
    enough = held.level.rank >= Level.parse(settings.min_level, "min_level").rank
    return Trusted(held.level.value, held.scope, enough)


@contextlib.asynccontextmanager
async def _models(
    home: Home, settings: RouteSettings, blocks: BlockNames
) -> AsyncIterator[Models | None]:
    if not settings.classifier:
        yield None
        return
    async with open_models(
        run_key=str(settings.run_key),
        journal_dir=home.run(str(settings.run_key)).journal,
        spending=settings.spending,
        environ=await credentials(blocks.model),
    ) as models:
        yield models


async def _permitted(
    settings: RouteSettings,
    decision: RoutingDecision,
    text: str,
    task: Task | None,
    key: str,
) -> Routed | RoutingDecision:
    """Return the decision to act on, or how it ended where policy or a missing check forbids."""
    if decision.policy == "escalate" and not settings.allow_escalated:
        return _ended("escalated", decision, key, f"nobody is good enough: {decision.why}")
    if task is None:
        return _ended("decided", decision, key, "not run: free text needs a check to be graded by")
    if decision.policy != "review":
        return decision
    return await _reviewed(settings, decision, text, key)


async def _reviewed(
    settings: RouteSettings, decision: RoutingDecision, text: str, key: str
) -> Routed | RoutingDecision:
    """Ask for a person's word, unless one was named beforehand; ledger and trail keep it."""
    registry = await asyncio.to_thread(open_desk, settings.home)
    person = partial(named_in_form, registry, decision.member_name, scope=decision.scope)
    if settings.approved_by:
        said = Answer(approved=True, by=person(settings.approved_by))
    else:
        wait = duration(settings.review_timeout_s)
        current_watcher()(
            Note(
                f"Waiting {wait} at most for a review: Resume in the run's menu of the Prefect UI. "
                "approved_by says that somebody has looked already."
            )
        )
        said = await ask(
            review_text(decision, text),
            timeout_s=settings.review_timeout_s,
            key="review",
            person=person,
        )
    channel = "settings" if settings.approved_by else "ui"
    await asyncio.to_thread(_keep_answer, registry, decision, said, channel)
    why = f": {said.reason}" if said.reason else ""
    if said.approved:
        note = "; ".join(filter(None, (decision.note, f"approved by {said.by}{why}")))
        return decision.model_copy(update={"note": note})
    if said.by == NOBODY_ANSWERED:
        return _ended("declined", decision, key, said.reason)
    return _ended("declined", decision, key, f"{said.by} said no{why}")


def _keep_answer(registry: Registry, decision: RoutingDecision, said: Answer, channel: str) -> None:
    at = registry.clock()
    row = RoutingAnswerRow(
        decision_id=decision.decision_id,
        member_name=decision.member_name,
        approved=said.approved,
        by="" if said.by == NOBODY_ANSWERED else said.by,
        reason=said.reason,
        channel=channel,
        at=at,
    )
    registry.ledger.append([row], run_key="routing")
    draft = EventDraft(
        kind=EventKind.TASK_APPROVED if said.approved else EventKind.TASK_REFUSED,
        agent_id=decision.member_name,
        subject=decision.decision_id,
        by=said.by,
        reason=said.reason,
        evidence={"task": decision.task[:500], "why": decision.why, "channel": channel},
        at=at,
    )
    registry.chain.append(lambda _: draft)


def _ended(status: Status, decision: RoutingDecision, key: str, note: str) -> Routed:
    noted = decision.model_copy(update={"note": note})
    return Routed(status=status, decision=noted, run_key=key, note=note)


async def _attempted(
    settings: RouteSettings,
    blocks: BlockNames,
    router: CompetencyRouter,
    decision: RoutingDecision,
    task: Task,
) -> Routed:
    """Let the member try the task, and record what came of it."""
    strong = settings.strong_model_id if decision.model_tier == "strong" else None
    own = settings.model_copy(
        update={
            "agent_id": decision.member_name,
            "tasks_dir": task.path.parent,
            "task_ids": [task.task_id],
            "category": [],
            "difficulty": [],
            "limit": None,
            "model_id": strong or settings.model_id,
        }
    )
    async with open_run("route", own, blocks, configured=True) as run:
        try:
            episode = await _attempt(run, task)
        except BudgetExceededError as error:
            await run.finish(note=str(error))
            return Routed(status="stopped", decision=decision, run_key=run.key, note=str(error))
        await run.finish()
        response = await asyncio.to_thread(_response, run.ledger, episode)
    if episode.passed is None:
        status: Status = "error"
    else:
        status = "done" if episode.passed else "failed"
        with spared("taking in what came of the task"):
            decision = await asyncio.to_thread(
                router.settle, decision, episode.passed, episode_id=episode.episode_id
            )
    return Routed(
        status=status,
        decision=decision,
        response=response,
        run_key=episode.run_key,
        episode_id=episode.episode_id,
        note=episode.error_detail,
    )


async def _attempt(run: Run[RouteSettings], task: Task) -> Episode:
    wanted = run.plan_attempt(task, run.base, Purpose.ROUTE)
    (episode,) = await run.attempt_all([wanted])
    return episode


def _response(ledger: Ledger, episode: Episode) -> str:
    rows = ledger.rows(TrajectoryRow, episode.run_key)
    return next((row.submission for row in rows if row.episode_id == episode.episode_id), "")
