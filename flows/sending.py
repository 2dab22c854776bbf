"""Attempts sent to a work pool in slices, and what comes of them.

Who sends keeps as many slices on their way as there are workers. A slice whose worker ended, or
whose signs of life stopped, costs what it had not finished: that is sent again in other slices. A
run that goes on takes over the slices its dead process has sent.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterTags,
    WorkerFilter,
    WorkerFilterStatus,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments import arun_deployment
from prefect.states import Cancelling, Crashed, araise_state_exception

from grindstone.attempt.travelling import end_told, pack
from grindstone.errors import (
    POLICIES,
    BudgetExceededError,
    Cause,
    GrindstoneError,
    InfrastructureError,
)
from grindstone.flows.attempt import PlannedAttempt, leave_unscored, told
from grindstone.flows.slices import DEPLOYMENT, AttemptSlice
from grindstone.ledger.recall import ScoredEpisodes
from grindstone.llm.budget import Spending
from grindstone.records import Episode
from grindstone.runs.lease import LOST_S, Pulse, clear
from grindstone.runs.slicing import slice_size, that_fit
from grindstone.runs.steered import raised
from grindstone.settings import RunSettings
from grindstone.tasks.flow_runs import run_tag
from grindstone.tasks.runtime import Runtime

LOOK_S = 2.0
"""Pause between two looks at what is on its way."""
START_S = 5 * LOST_S
"""How long a worker may take to start a slice's process."""


async def attempt_in_slices(
    runtime: Runtime,
    wanted: Sequence[PlannedAttempt],
    settings: RunSettings,
    model_block: str | None,
) -> list[Episode]:
    """Have workers make attempts; what kept one from a score costs that attempt alone.

    Args:
        runtime: The run's resources.
        wanted: What to try, each once.
        settings: Of the run: how many at once, and in how large slices.
        model_block: Saved block with the credentials.

    Returns:
        Their episodes, in the order asked for.

    Raises:
        BudgetExceededError: A ceiling was reached; the attempts already begun have ended.
        InputError: A task is broken, or changed since the run was planned.
        CancelledRun: Somebody called a slice off.
    """
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        sender = _Sender(
            runtime,
            settings,
            model_block,
            client,
            deployment,
            wanted,
            runtime.steering.now.retried,
        )
        await sender.begin()
        try:
            while sender.waiting or sender.away:
                sender.retry()
                await sender.send()
                await asyncio.sleep(LOOK_S)
                await sender.look()
        except BaseException:
            await sender.call_off()
            raise
        with contextlib.suppress(InfrastructureError):  # it hinders nobody
            await asyncio.to_thread(clear, runtime.folder.slices, _is_flow_run)
        if sender.stopped_by is not None:
            raise sender.stopped_by
    return [sender.settled[item.spec.episode_id] for item in wanted]


@dataclass
class _Away:
    """A slice on its way."""

    items: list[PlannedAttempt]
    pulse: Pulse
    ceilings: Spending


@dataclass
class _Sender:
    """What is not yet sent, what is on its way and what has come of it."""

    runtime: Runtime
    settings: RunSettings
    model_block: str | None
    client: PrefectClient
    deployment: DeploymentResponse
    wanted: Sequence[PlannedAttempt]
    retried: int  # the last order to try errors again
    waiting: list[PlannedAttempt] = field(default_factory=list)
    away: dict[UUID, _Away] = field(default_factory=dict)
    settled: dict[str, Episode] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    stopped_by: GrindstoneError | None = None
    taken: float = field(default_factory=time.monotonic)  # when a worker last had something
    scored: ScoredEpisodes = field(init=False)
    alone: bool = False  # whether it was told that no worker comes

    def __post_init__(self) -> None:
        """Have read nothing yet."""
        self.scored = ScoredEpisodes(self.runtime.ledger, self.runtime.run_key)

    async def begin(self) -> None:
        """Take what is in the ledger, then what a dead process has sent; the rest waits."""
        scored = await self._scored()
        ids = [item.spec.episode_id for item in self.wanted]
        self.settled = {name: scored[name] for name in ids if name in scored}
        left = {i.spec.episode_id: i for i in self.wanted if i.spec.episode_id not in self.settled}
        for run in await self._sent_before():
            work = AttemptSlice.model_validate(run.parameters["work"])
            found = [left.pop(s.episode_id) for s in work.attempts if s.episode_id in left]
            if found:
                self.away[run.id] = _Away(found, self._pulse(run.id), work.spending)
        self.waiting = list(left.values())

    def retry(self) -> None:
        """Let wait again, where an order says so, what has no score."""
        if self.runtime.steering.now.retried <= self.retried:
            return
        self.retried = self.runtime.steering.now.retried
        for item in self.wanted:
            known = self.settled.get(item.spec.episode_id)
            if known is not None and known.passed is None:
                del self.settled[item.spec.episode_id]
                self.waiting.append(item)

    async def send(self) -> None:
        """Send slices as long as there is a worker for one, and the run is not paused."""
        steer = self.runtime.steering
        if steer.now.paused:
            return
        slices = steer.now.max_slices or self.settings.max_slices or await self._workers()
        while self.waiting and len(self.away) < slices:
            sizes = [len(item.spec.model_dump_json()) for item in self.waiting]
            size = slice_size(
                len(self.waiting),
                slices=slices,
                at_once=steer.max_workers,
                attempt_s=_mean_s(list(self.settled.values())),
                most=steer.now.slice_size or self.settings.slice_size,
            )
            items = self.waiting[: that_fit(sizes, size)]
            run_id = await self._send(items)
            self.waiting = self.waiting[len(items) :]
            self.away[run_id] = _Away(items, self._pulse(run_id), steer.ceilings)

    async def look(self) -> None:
        """See what has come of what is on its way."""
        if not self.away:
            return
        filtered = FlowRunFilter(id=FlowRunFilterId(any_=list(self.away)))
        runs = await self.client.read_flow_runs(flow_run_filter=filtered)
        scored = await self._scored()  # read last: what is final has written all it will
        for run in runs:
            away, state = self.away[run.id], run.state
            for item in away.items:
                await self._settle(item, scored)
            if state is None:
                continue
            if state.is_final():
                del self.away[run.id]
                await self._end(away, state, self.runtime.folder.pulse(str(run.id)))
            elif state.is_scheduled():
                away.pulse.renew()
                self._tell_alone()
            else:
                self.taken = time.monotonic()
                if away.pulse.silent_s() > (LOST_S if state.is_running() else START_S):
                    await self._give_up(run.id, away)

    async def call_off(self) -> None:
        """Cancel what is on its way: Prefect would let it run when its parent is cancelled."""
        if self.away:
            await self._cancel(FlowRunFilter(id=FlowRunFilterId(any_=list(self.away))))

    async def _send(self, items: Sequence[PlannedAttempt]) -> UUID:
        specs = tuple(item.spec for item in items)
        work = AttemptSlice(
            attempts=specs,
            address=await asyncio.to_thread(pack, self.runtime.home, specs),
            at_once=self.runtime.steering.max_workers,
            model_block=self.model_block,
            spending=self.runtime.steering.ceilings,
            rates=self.settings.rates,
        )
        key = uuid4().hex
        try:
            run = await arun_deployment(
                self.deployment.id,
                client=self.client,
                parameters={"work": work.model_dump(mode="json")},
                timeout=0,
                idempotency_key=key,
                tags=[run_tag(self.runtime.run_key)],
            )
        except asyncio.CancelledError:
            named = FlowRunFilterIdempotencyKey(any_=[key])
            await self._cancel(FlowRunFilter(idempotency_key=named))
            raise
        return run.id

    async def _end(self, away: _Away, state: State, pulse: Path) -> None:
        """Settle what a slice left that has ended."""
        left = [item for item in away.items if item.spec.episode_id not in self.settled]
        if not left:
            return
        if state.is_completed():  # what has no score has an error in the ledger
            ledger, key = self.runtime.ledger, self.runtime.run_key
            rows = await asyncio.to_thread(ledger.rows, Episode, key)
            unscored = {row.episode_id: row for row in rows}
            for item in left:
                await self._settle(item, unscored)
            return
        error = await asyncio.to_thread(end_told, pulse) or await _error_of(state)
        ceilings = self.runtime.steering.ceilings
        if isinstance(error, BudgetExceededError) and raised(away.ceilings, ceilings):
            self.waiting += left
            return
        if isinstance(error, GrindstoneError) and not isinstance(error, InfrastructureError):
            self.stopped_by, self.waiting = error, []
            return
        if state.is_cancelled() or not isinstance(error, Exception):
            raise error
        for item in left:
            self.losses[item.spec.episode_id] += 1
            if self.losses[item.spec.episode_id] < POLICIES[Cause.WORKER_LOST].tries:
                self.waiting.append(item)
                continue
            lost = (
                error
                if isinstance(error, InfrastructureError)
                else InfrastructureError(Cause.WORKER_LOST, str(error))
            )
            episode = await leave_unscored(self.runtime, item, lost)
            self.settled[item.spec.episode_id] = episode

    async def _settle(self, item: PlannedAttempt, found: dict[str, Episode]) -> None:
        name = item.spec.episode_id
        if name in found and name not in self.settled:
            self.settled[name] = found[name]
            self.runtime.tell(told(found[name]))

    async def _give_up(self, run_id: UUID, away: _Away) -> None:
        away.pulse.give_up()
        gone: State[None] = Crashed(message=f"It gave no sign of life for {LOST_S:.0f} seconds.")
        await self.client.set_flow_run_state(run_id, gone, force=True)

    def _tell_alone(self) -> None:
        if not self.alone and time.monotonic() - self.taken > LOST_S:
            self.alone = True
            pool = self.deployment.work_pool_name
            self.runtime.note(
                f"No worker has taken an attempt for {LOST_S:.0f} seconds: is one running for the "
                f"pool {pool}? `prefect worker start --pool {pool}`"
            )

    async def _workers(self) -> int:
        """Return how many workers the pool has, at least 1: one may come."""
        online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
        pool = self.deployment.work_pool_name
        if pool is None:
            return 1
        found = await self.client.read_workers_for_work_pool(pool, worker_filter=online)
        return max(1, len(found))

    async def _sent_before(self) -> list[FlowRun]:
        """Return slices of this run that have not ended."""
        filtered = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[run_tag(self.runtime.run_key)]),
            deployment_id=FlowRunFilterDeploymentId(any_=[self.deployment.id]),
        )
        runs = await self.client.read_flow_runs(flow_run_filter=filtered)
        return [run for run in runs if run.state is not None and not run.state.is_final()]

    async def _cancel(self, filtered: FlowRunFilter) -> None:
        for run in await self.client.read_flow_runs(flow_run_filter=filtered):
            if run.state is not None and not run.state.is_final():
                await self.client.set_flow_run_state(run.id, Cancelling())

    async def _scored(self) -> dict[str, Episode]:
        return await asyncio.to_thread(self.scored.now)

    def _pulse(self, run_id: UUID) -> Pulse:
        return Pulse(self.runtime.folder.pulse(str(run_id)))


def _is_flow_run(name: str) -> bool:
    """Return whether a name is a slice's; who shares the budget has signs of life beside them."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _mean_s(episodes: Sequence[Episode]) -> float | None:
    took = [(row.ended_at - row.started_at).total_seconds() for row in episodes]
    return sum(took) / len(took) if took else None


async def _error_of(state: State) -> BaseException:
    try:
        await araise_state_exception(state)
    except BaseException as error:  # noqa: BLE001 - it is asked for, to be looked at
        return error
    return RuntimeError(f"the slice ended as {state.name}")
