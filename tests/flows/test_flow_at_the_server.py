"""What a person does at the Prefect server to a run's slices while the run goes on."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolUpdate
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow_async
from prefect.states import Crashed, Failed, Running
from support.sender import Sender

from grindstone.errors import InfrastructureError
from grindstone.flows.dispatch.attempt_slice import AttemptSlice
from grindstone.flows.slices import attempt_slice
from grindstone.runs import lease
from grindstone.runs.progress import Note, Progress

pytestmark = [pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.timeout(120)]


@pytest.mark.parametrize("began", [False, True])
async def test_a_slice_that_was_deleted_is_sent_again(sender: Sender, *, began: bool):
    working = asyncio.create_task(sender.send())
    [gone] = await sender.sent(1)
    if began:
        await sender.client.set_flow_run_state(gone.id, Running(), force=True)
    await sender.client.delete_flow_run(gone.id)
    [run] = await sender.sent(1)
    assert run.id != gone.id
    work = AttemptSlice.model_validate(run.parameters["work"])
    await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})
    async with asyncio.timeout(30):
        [episode] = await working
    assert episode.passed
    assert not [*sender.runtime.folder.slices.iterdir()], "begun again it finds nothing to do"


async def test_without_its_deployment_a_run_ends_and_says_what_lays_it_down(sender: Sender):
    working = asyncio.create_task(sender.send())
    await sender.sent(1)
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    await sender.client.delete_deployment(deployment.id)
    with pytest.raises(InfrastructureError, match=r"no deployment slice/slice .*grindstone up"):
        async with asyncio.timeout(30):
            await working


@pytest.mark.parametrize("said", [Crashed, Failed])
async def test_a_slice_that_is_said_to_have_ended_stops_before_another_has_its_attempts(
    sender: Sender, said: Callable[[], State[None]]
):
    """As from the UI, or by an automation, while its process lives; *Retry* begins it once more."""
    working = asyncio.create_task(sender.send())
    [alive] = await sender.sent(1)
    await sender.client.set_flow_run_state(alive.id, Running(), force=True)
    sign = sender.runtime.folder.pulse(str(alive.id))
    stopped = asyncio.create_task(_works(sign))
    async with asyncio.timeout(30):
        while not sign.exists():
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)  # until it was seen
    await sender.client.set_flow_run_state(alive.id, said(), force=True)
    await sender.sent(2)
    async with asyncio.timeout(10):
        assert await stopped, "it is given up"
        assert await _works(sign), "and again"
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_it_is_told_what_keeps_a_pool_from_its_slices(sender: Sender):
    said: list[str] = []

    def watch(event: Progress) -> None:
        if isinstance(event, Note):
            said.append(event.text)

    async def told(words: str) -> None:
        async with asyncio.timeout(20):
            while not any(words in each for each in said) and not working.done():
                await asyncio.sleep(0.1)
        assert not working.done()

    watched = sender._replace(runtime=replace(sender.runtime, watch=watch))
    pool, client = sender.runtime.run_key, sender.client
    await client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
    working = asyncio.create_task(watched.send())
    try:
        await told(f"the work pool {pool} is paused; `prefect work-pool resume {pool}`")
        await client.update_work_pool(pool, WorkPoolUpdate(is_paused=False, concurrency_limit=0))
        await told(f"the work pool {pool} has a concurrency limit of 0, and 0 are taken")
        await client.update_work_pool(pool, WorkPoolUpdate(concurrency_limit=2))
        queue = await client.read_work_queue_by_name("default", work_pool_name=pool)
        await client.update_work_queue(queue.id, is_paused=True)
        await told(f"the work queue default of the pool {pool} is paused")
        await client.update_work_queue(queue.id, is_paused=False)
        await told(f"is one running? `prefect worker start --pool {pool}`")
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    assert len(said) == 4, "each once"


@pytest.mark.parametrize("whose", ["pool", "queue", "deployment"])
async def test_no_more_slices_are_on_their_way_than_may_run(sender: Sender, whose: str):
    pool, client = sender.runtime.run_key, sender.client
    queue = await client.read_work_queue_by_name("default", work_pool_name=pool)
    deployment = await client.read_deployment_by_name("slice/slice")

    async def limit(most: int) -> None:
        match whose:
            case "pool":
                await client.update_work_pool(pool, WorkPoolUpdate(concurrency_limit=most))
            case "queue":
                await client.update_work_queue(queue.id, concurrency_limit=most)
            case _:
                changed = DeploymentUpdate(concurrency_limit=most)
                await client.update_deployment(deployment.id, changed)

    for name in ("one", "two", "three"):
        await client.send_worker_heartbeat(pool, name, heartbeat_interval_seconds=60)
    await limit(2)
    single = sender.settings.model_copy(update={"slice_size": 1})
    working = asyncio.create_task(sender._replace(settings=single).send(*sender.trials(6)))
    try:
        await sender.sent(2)
        await asyncio.sleep(2)
        assert len(await sender.slices()) == 2
        await limit(5)
        await sender.sent(3)
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def _works(sign: Path) -> bool:
    """Be at work as a slice's process is; return whether it was given up."""

    async def work() -> None:
        async with lease.beating(sign):
            await asyncio.sleep(10)

    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.create_task(work())
        return False
    return True
