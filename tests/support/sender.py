"""A run that sends its attempts to a pool without a worker: the test is whoever makes them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from support.attempt_specs import spec_of

from grindstone.benchmark import load_task
from grindstone.flows.attempt import PlannedAttempt
from grindstone.flows.dispatch import sending
from grindstone.flows.dispatch.sending import attempt_in_slices
from grindstone.flows.slices import attempt_slice
from grindstone.runs import lease
from grindstone.settings import GrindSettings
from grindstone.tasks.flow_runs import run_tag
from grindstone.tasks.runtime import Runtime, open_runtime


class Sender(NamedTuple):
    """A run that sends to a pool without a worker."""

    runtime: Runtime
    settings: GrindSettings
    item: PlannedAttempt
    client: PrefectClient

    async def send(self, *items: PlannedAttempt):
        wanted = items or [self.item]
        return await attempt_in_slices(self.runtime, wanted, self.settings, None)

    def trials(self, count: int) -> list[PlannedAttempt]:
        """So many attempts at the task."""
        spec, task = self.item
        specs = [spec.model_copy(update={"trial": number}) for number in range(count)]
        return [PlannedAttempt(each, task) for each in specs]

    async def sent(self, count: int) -> list[FlowRun]:
        """Wait until so many slices were sent."""
        async with asyncio.timeout(30):
            while len(found := await self.slices()) < count:
                await asyncio.sleep(0.1)
        return found

    async def slices(self) -> list[FlowRun]:
        tags = FlowRunFilterTags(all_=[run_tag(self.runtime.run_key)])
        return await self.client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tags))


@contextlib.asynccontextmanager
async def sending_to_nobody(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Sender]:
    """Open such a run, which looks often and loses patience soon, until the block ends."""
    patch.setattr(sending, "LOOK_S", 0.1)
    patch.setattr(sending, "LOST_S", 0.5)
    patch.setattr(lease, "BEAT_S", 0.1)
    key = f"sent-{folder.name}"
    settings = GrindSettings(work_dir=folder, native_profile="oracle", run_key=key)
    spec = spec_of(settings)
    async with get_client() as client:
        pool = await client.create_work_pool(WorkPoolCreate(name=key, type="process"))
        flow_id = await client.create_flow(attempt_slice)
        await client.create_deployment(
            flow_id,
            "slice",
            work_pool_name=pool.name,
            enforce_parameter_schema=False,
        )
        async with open_runtime(
            home=settings.home, run_key=key, agent_id=settings.agent_id, sandbox="bubblewrap"
        ) as runtime:
            yield Sender(runtime, settings, PlannedAttempt(spec, load_task(spec.task_dir)), client)
