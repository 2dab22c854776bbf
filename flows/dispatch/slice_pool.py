"""The work pool that a run's slices are sent to, as the Prefect server shows it."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    WorkerFilter,
    WorkerFilterStatus,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import (
    TERMINAL_STATES,
    FlowRun,
    State,
    StateType,
    WorkPool,
    WorkQueue,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed

from grindstone.errors import Cause, InfrastructureError
from grindstone.flows.dispatch.attempt_slice import DEPLOYMENT, AttemptSlice
from grindstone.tasks.flow_runs import run_tag
from grindstone.tasks.server_clock import server_ahead
from grindstone.tasks.server_pages import aeach_of

DEFAULT_QUEUE = "default"
"""Prefect's name of the queue that a pool begins with."""


class _Limit(NamedTuple):
    whose: str
    used: int
    most: int


class _Gates(NamedTuple):
    """What lets slices through to workers."""

    pool: WorkPool
    queue: WorkQueue
    deployment: DeploymentResponse

    def limits(self) -> Iterator[_Limit]:
        """Yield the concurrency limits that are set."""
        for whose, gate in (("pool", self.pool), ("queue", self.queue)):
            if gate.concurrency_limit is not None:
                used = gate.active_slots or 0
                yield _Limit(f"work {whose} {gate.name}", used, gate.concurrency_limit)
        if (limit := self.deployment.global_concurrency_limit) is not None:
            yield _Limit(f"deployment {DEPLOYMENT}", limit.active_slots, limit.limit)


@dataclass(frozen=True)
class SlicePool:
    """Where the slices of one run go."""

    client: PrefectClient
    deployment: DeploymentResponse
    run_key: str

    @classmethod
    async def of(cls, client: PrefectClient, run_key: str) -> "SlicePool":
        """Find the pool by the deployment of slices.

        Raises:
            InfrastructureError: The deployment is gone from the server.
        """
        try:
            deployment = await client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound as error:
            raise _gone() from error
        return cls(client, deployment, run_key)

    @property
    def name(self) -> str | None:
        """The pool's."""
        return self.deployment.work_pool_name

    async def places(self) -> int:
        """Return how many slices may be at work side by side, at least 1: a worker may come.

        As many as there are workers, or fewer where pool, queue or deployment have a limit.
        """
        online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
        if self.name is None:
            return 1
        found = aeach_of(
            partial(self.client.read_workers_for_work_pool, self.name), worker_filter=online
        )
        workers = len([each async for each in found])
        if workers < 2:
            return 1
        with contextlib.suppress(ObjectNotFound):
            for limit in (await self._gates()).limits():
                workers = min(workers, limit.most)
        return max(1, workers)

    async def why_waiting(self) -> str:
        """Return what keeps workers from what was sent, and what lets them have it."""
        name = self.name
        if name is None:
            return f"the deployment {DEPLOYMENT} has no work pool"
        try:
            gates = await self._gates()
        except ObjectNotFound:
            return f"the deployment {DEPLOYMENT}, its work pool or its queue is gone"
        if gates.pool.is_paused:
            return f"the work pool {name} is paused; `prefect work-pool resume {name}`"
        queue = gates.queue.name
        if gates.queue.is_paused:
            resume = f"`prefect work-queue resume {queue} --pool {name}`"
            return f"the work queue {queue} of the pool {name} is paused; {resume}"
        for whose, used, most in gates.limits():
            if used >= most:
                return f"the {whose} has a concurrency limit of {most}, and {used} are taken"
        return f"is one running? `prefect worker start --pool {name}`"

    async def _gates(self) -> "_Gates":
        """Return what slices have to pass.

        Raises:
            ObjectNotFound: Some of it is gone.
        """
        name = self.name or ""
        queue = self.deployment.work_queue_name or DEFAULT_QUEUE
        return _Gates(
            await self.client.read_work_pool(name),
            await self.client.read_work_queue_by_name(queue, work_pool_name=name),
            await self.client.read_deployment_by_name(DEPLOYMENT),
        )

    async def wanted_by_others(self) -> bool:
        """Return whether a run of somebody else waits for a worker of the pool."""
        if self.name is None:
            return False
        due = FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(
                before_=await self._now()
            ),
        )
        named = WorkPoolFilter(name=WorkPoolFilterName(any_=[self.name]))
        read = self.client.read_flow_runs
        async for run in aeach_of(read, flow_run_filter=due, work_pool_filter=named):
            if run_tag(self.run_key) not in run.tags:
                return True
        return False

    async def send(self, work: AttemptSlice) -> UUID:
        """Send a slice; return the id of its flow run. Cancelled meanwhile, it is called off.

        Raises:
            InfrastructureError: The deployment is gone from the server.
        """
        key = uuid4().hex
        try:
            run = await arun_deployment(
                DEPLOYMENT,  # by name: it may be laid down anew meanwhile
                client=self.client,
                parameters={"work": work.model_dump(mode="json")},
                timeout=0,
                scheduled_time=await self._now(),
                idempotency_key=key,
                tags=[run_tag(self.run_key)],
            )
        except ObjectNotFound as error:
            raise _gone() from error
        except asyncio.CancelledError:
            named = FlowRunFilterIdempotencyKey(any_=[key])
            await self._cancel(FlowRunFilter(idempotency_key=named))
            raise
        return run.id

    async def _now(self) -> datetime:
        """Return the time by the server's clock: what is sent is due by that one, and not later.

        Asked each time: this machine's may be set right while a run goes on.
        """
        return datetime.now(UTC) + await server_ahead(self.client)

    async def slices(self, ids: Iterable[UUID]) -> list[FlowRun]:
        """Return slices as they are now."""
        wanted = list(ids)
        return await self._runs(FlowRunFilter(id=FlowRunFilterId(any_=wanted)), len(wanted))

    async def unfinished(self) -> list[FlowRun]:
        """Return slices of this run that have not ended, whoever sent them."""
        going = [kind for kind in StateType if kind not in TERMINAL_STATES]
        filtered = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[run_tag(self.run_key)]),
            deployment_id=FlowRunFilterDeploymentId(any_=[self.deployment.id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=going)),
        )
        runs = await self._runs(filtered)
        return [run for run in runs if run.state is not None and not run.state.is_final()]

    async def give_up(self, run_id: UUID, why: str) -> None:
        """Have a slice be crashed, whatever its process does."""
        gone: State[None] = Crashed(message=why)
        await self.client.set_flow_run_state(run_id, gone, force=True)

    async def call_off(self, ids: Iterable[UUID]) -> None:
        """Cancel slices: Prefect lets them run when their parent is cancelled."""
        await self._cancel(FlowRunFilter(id=FlowRunFilterId(any_=list(ids))))

    async def _cancel(self, filtered: FlowRunFilter) -> None:
        for run in await self._runs(filtered):
            if run.state is not None and not run.state.is_final():
                await self.client.set_flow_run_state(run.id, Cancelling())

    async def _runs(self, filtered: FlowRunFilter, most: int | None = None) -> list[FlowRun]:
        """Return all that a filter lets through, in an order that lasts."""
        found = aeach_of(
            self.client.read_flow_runs,
            most=most,
            flow_run_filter=filtered,
            sort=FlowRunSort.ID_DESC,
        )
        return [run async for run in found]


def _gone() -> InfrastructureError:
    told = (
        f"it has no deployment {DEPLOYMENT} any more; `grindstone up` or `prefect deploy` lays it "
        "down, and the same run key goes on"
    )
    return InfrastructureError(Cause.PREFECT_SERVER, told)
