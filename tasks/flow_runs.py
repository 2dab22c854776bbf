"""A run as Prefect sees it: its key, its tag, and flow runs a dead process of it left open."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID

from prefect import get_client, tags
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError
from prefect.logging.loggers import flow_run_logger
from prefect.states import Crashed

from grindstone.records import utc_now
from grindstone.runs.plan import new_run_key
from grindstone.runs.progress import Progress, Watcher, current_watcher, sentence, told_both
from grindstone.tasks.server_pages import aeach_of

NOT_PASSED = "NotPassed"
"""Name of the state of an attempt that was made and failed its tests; its type is Completed."""

_UNFINISHED = [StateType.RUNNING, StateType.PENDING]


def run_key_of(kind: str, given: str | None) -> str:
    """Return the key a run goes by.

    The run of a deployment is known by its flow run: *Retry* in the UI is the same flow run
    again and so goes on with the run, *Copy to new run* is another. Any other run gets a new key.

    Args:
        kind: grind, adapt, gate, …
        given: The user's own choice.
    """
    if given:
        return given
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or run.created is None:
        return new_run_key(kind)
    return f"{kind}-{run.created:%Y%m%d-%H%M%S}-{run.id.hex[-8:]}"


def given_to_a_worker() -> bool:
    """Return whether the present flow run is one that a worker was given, and no part of one."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return run is not None and run.deployment_id is not None and run.parent_task_run_id is None


def run_log() -> Watcher:
    """Return a watcher that writes into the log of the flow run it is asked for in."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise MissingContextError("a log is asked for where no flow runs")
    # Not `get_run_logger`: within an attempt that is the log of the task which called it.
    log = flow_run_logger(context.flow_run, context.flow)

    def watch(event: Progress) -> None:
        if said := sentence(event):
            log.info(said)

    return watch


def run_watcher() -> Watcher:
    """Return who is told of a run's progress: its log, where it is a flow's, and who watches."""
    within = FlowRunContext.get()
    if within is None:  # an examiner of code that runs no flow of its own
        return current_watcher()
    return told_both(run_log(), current_watcher())


_MADE_UP = re.compile(r"[A-Z]?[a-z0-9]+-[A-Z]?[a-z0-9]+")
"""What Prefect and its forms call a run that nobody named: `crafty-otter`, `Sleek-Liger`."""
_BEGUN = re.compile(r"(?P<flow>[a-z -]+) \S+ · (?P<time>\d\d:\d\d UTC)")
"""A run that is not known to be about certain tasks yet."""


def unless_typed(make: Callable[[], str]) -> Callable[[], str]:
    """Return what names a flow's runs, for `flow_run_name`.

    A name that a person typed is kept, and so is the one of a run that is tried again.

    Args:
        make: Makes a name where nobody typed one.
    """

    def name() -> str:
        context = FlowRunContext.get()
        run = context.flow_run if context else None
        return run.name if run is not None and not _MADE_UP.fullmatch(run.name) else make()

    return name


def named(flow: str, whose: str = "agent_id") -> Callable[[], str]:
    """Return what names a flow's runs by their time: `review 14:36 UTC`, `exam fred · 14:36 UTC`.

    Args:
        flow: In words.
        whose: Parameter, or field of the settings, that tells runs apart; none where it is empty.
    """

    def make() -> str:
        context = FlowRunContext.get()
        given = (context.parameters if context else None) or {}
        subject = given.get(whose) or getattr(given.get("settings"), whose, "")
        now = f"{utc_now():%H:%M} UTC"
        return f"{flow} {subject} · {now}" if subject else f"{flow} {now}"

    return unless_typed(make)


async def name_run(agent_id: str, task_ids: Sequence[str]) -> None:
    """Have the present flow run's name tell its agent and its tasks, unless a person named it."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    begun = _BEGUN.fullmatch(run.name) if run is not None else None
    if run is not None and begun and task_ids:
        more = f" +{len(task_ids) - 1}" if len(task_ids) > 1 else ""
        run.name = f"{begun['flow']} {agent_id} · {task_ids[0]}{more} · {begun['time']}"
        await rename_run(run.name)


async def rename_run(name: str) -> None:
    """Give the present flow run another name, by which the UI finds and filters it."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        async with get_client() as client:
            await client.update_flow_run(context.flow_run.id, name=name)


def run_tag(run_key: str) -> str:
    """Return the tag that all flow runs of a run carry in Prefect."""
    return f"run:{run_key}"


async def tag_run(run_key: str) -> None:
    """Tag the present flow run, before it waits for anything: whoever goes on finds it by that."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        run = context.flow_run
        async with get_client() as client:
            await client.update_flow_run(run.id, tags=sorted({*run.tags, run_tag(run_key)}))


@contextlib.asynccontextmanager
async def tagged(run_key: str) -> AsyncIterator[None]:
    """Tag what runs within, and close what a killed process of this run left open in Prefect.

    A flow run whose process was killed stays Running for ever, or Pending where it had not
    begun: nobody is left to say otherwise. Those that a worker started are the worker's business.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    tag = run_tag(run_key)
    own = context.flow_run
    async with get_client() as client:
        alive = await _with_those_around(client, own)
        unfinished = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[tag]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
            deployment_id=FlowRunFilterDeploymentId(is_null_=True),
        )
        found = aeach_of(client.read_flow_runs, flow_run_filter=unfinished)
        for flow_run in [each async for each in found]:  # those that are closed leave the pages
            if flow_run.id not in alive:
                gone: State[None] = Crashed(
                    message=f"The process ended; the run went on as {own.name}."
                )
                await client.set_flow_run_state(flow_run.id, gone, force=True)
    with tags(tag):
        yield


async def _with_those_around(client: PrefectClient, run: FlowRun) -> set[UUID]:
    """Return the ids of a flow run and of those it is part of."""
    found = {run.id}
    while run.parent_task_run_id is not None:
        step = await client.read_task_run(run.parent_task_run_id)
        if step.flow_run_id is None:
            break
        run = await client.read_flow_run(step.flow_run_id)
        found.add(run.id)
    return found
