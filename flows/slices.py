"""Some attempts of a run, made together on a worker: one run of a deployment."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from grindstone.attempt.mailbox import SliceMailbox
from grindstone.attempt.spec import AttemptSpec
from grindstone.attempt.travelling import unpack
from grindstone.benchmark import load_task
from grindstone.errors import GrindstoneError, InfrastructureError, InputError
from grindstone.flows.attempt import PlannedAttempt, attempt_all
from grindstone.flows.dispatch.attempt_slice import AttemptSlice, ForeignSlice, SentSlice
from grindstone.home import Home
from grindstone.runs.lease import beating
from grindstone.runs.parked import Parked
from grindstone.tasks.episode_check import episode_check
from grindstone.tasks.flow_runs import run_log
from grindstone.tasks.runtime import Runtime, open_runtime
from grindstone.tasks.versions import refusal

HANDED_S = 2.0
"""Pause between two looks for more attempts."""


@flow(
    name="slice",
    flow_run_name="{work.label}",
    persist_result=True,
    result_serializer="json",
    cache_result_in_memory=False,
)
async def attempt_slice(work: SentSlice) -> None:
    """Make some attempts of a run, and those it is handed meanwhile.

    Their episodes and trajectories go into the ledger.

    Raises:
        BudgetExceededError: A ceiling was reached; the attempts already begun have ended.
        InputError: A task is broken, or changed since the run was planned; attempts of others'
            code were handed; or another version of Grindstone has sent them.
    """
    context = FlowRunContext.get()
    own = context.flow_run if context else None
    if isinstance(work, ForeignSlice):
        raise await asyncio.to_thread(_refused, work, own)
    first = work.attempts[0]
    home = Home.at(work.address or first.home)
    async with contextlib.AsyncExitStack() as exits:
        mailbox = None
        if own is not None:
            pulse = home.run(first.run_key).pulse(str(own.id))
            await exits.enter_async_context(beating(pulse))
            mailbox = SliceMailbox(pulse)
            exits.enter_context(_leaving_word(mailbox))
        runtime = await exits.enter_async_context(
            open_runtime(
                home=home,
                run_key=first.run_key,
                agent_id=first.agent_id,
                sandbox=first.solver.sandbox,
                oci_runtime=first.solver.runtime,
                allowance=work.allowance,
                watch=run_log(),
                after_episode=episode_check(home),
                whole=False,
                shared=True,
            )
        )
        await _make(runtime, work, mailbox)


def _refused(work: ForeignSlice, own: FlowRun | None) -> InputError:
    """Return why a slice is refused, having told who sent it."""
    error = refusal("attempts", work.version)
    first = work.attempts[0] if work.attempts else {}
    home, run_key = work.address or first.get("home"), first.get("run_key")
    if own is not None and isinstance(home, str) and isinstance(run_key, str):
        SliceMailbox(Home.at(home).run(run_key).pulse(str(own.id))).tell_end(error)
    return error


async def _make(runtime: Runtime, work: AttemptSlice, mailbox: SliceMailbox | None) -> None:
    """Make attempts, and those that are handed meanwhile, until there are no more."""
    parked, address = Parked(runtime.steering), work.address

    async def make(specs: Sequence[AttemptSpec]) -> None:
        require_own(work, specs)
        there = specs if address is None else await asyncio.to_thread(unpack, specs, address)
        tasks = [await asyncio.to_thread(load_task, spec.task_dir) for spec in there]
        await attempt_all(runtime, list(map(PlannedAttempt, there, tasks)), parked)

    at_work = {asyncio.ensure_future(make(work.attempts))}
    failed: list[BaseException] = []
    try:
        while at_work:
            done, at_work = await asyncio.wait(
                at_work, timeout=HANDED_S, return_when=asyncio.FIRST_COMPLETED
            )
            failed += [error for task in done if (error := task.exception()) is not None]
            if mailbox is None or failed:
                continue
            if not at_work and await asyncio.to_thread(mailbox.close):
                return
            for more in await asyncio.to_thread(_handed, mailbox):
                at_work.add(asyncio.ensure_future(make(more)))
    finally:
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
    for error in failed:
        raise error


def require_own(work: AttemptSlice, specs: Sequence[AttemptSpec]) -> None:
    """Make sure that attempts are of a slice's run, by code it was sent with.

    What is handed comes through a folder that every worker of the run can write in; no worker
    is to have another one run code.

    Raises:
        InputError: They are not.
    """
    means = [spec.means for spec in work.attempts]
    for spec in specs:
        elsewhere = work.address is None and spec.home != work.attempts[0].home
        if elsewhere or spec.means not in means:
            expected = "attempts of its run, by the agents it was sent with"
            raise InputError(spec.label, "was handed to a slice it is none of", expected)


def _handed(mailbox: SliceMailbox) -> list[tuple[AttemptSpec, ...]]:
    """Return what was handed since; what storage does not tell is seen at the next look."""
    found = []
    with contextlib.suppress(InfrastructureError):
        while specs := mailbox.take():
            found.append(specs)
    return found


@contextlib.contextmanager
def _leaving_word(mailbox: SliceMailbox) -> Iterator[None]:
    """Tell who sent the slice why it ended: Prefect keeps an error on the machine that met it."""
    try:
        yield
    except GrindstoneError as error:
        mailbox.tell_end(error)
        raise
