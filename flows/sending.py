"""Attempts sent to a work pool in slices, and what comes of them.

Who sends keeps as many slices on their way as there are workers, and hands those that have little
left some more. A slice whose worker ended, or whose signs of life stopped, costs what it had not
finished: that is sent again in other slices. A run that goes on takes over the slices its dead
process has sent.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.states import araise_state_exception

from grindstone.attempt.handing import Handing
from grindstone.attempt.record import drop_recorded
from grindstone.attempt.travelling import end_told, pack
from grindstone.errors import (
    POLICIES,
    BudgetExceededError,
    Cause,
    GrindstoneError,
    InfrastructureError,
    InputError,
)
from grindstone.flows.attempt import PlannedAttempt, leave_unscored, told
from grindstone.flows.slice_pool import SlicePool
from grindstone.flows.slice_workers import SliceWorkers
from grindstone.flows.slices import AttemptSlice
from grindstone.ledger.recall import ScoredEpisodes
from grindstone.records import Episode
from grindstone.runs.lease import LOST_S, Pulse, clear
from grindstone.runs.slicing import SLICE_S, lacking, slice_size, that_fit
from grindstone.runs.steered import lifted
from grindstone.settings import RunSettings
from grindstone.tasks.runtime import Runtime

LOOK_S = 2.0
"""Pause between two looks at what is on its way."""
START_S = 5 * LOST_S
"""How long a worker that lives may take to start a slice's process."""


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
        pool = await SlicePool.of(client, runtime.run_key)
        retried = runtime.steering.now.retried
        sender = _Sender(runtime, settings, model_block, pool, wanted, retried)
        await sender.begin()
        try:
            while sender.goes_on():
                sender.retry()
                await sender.give()
                await asyncio.sleep(LOOK_S)
                await sender.look()
        except BaseException:
            await sender.call_off()
            raise
        with contextlib.suppress(InfrastructureError):  # what is left hinders nobody
            await asyncio.to_thread(clear, runtime.folder.slices, _is_flow_run)
            scored = [name for name, row in sender.settled.items() if row.passed is not None]
            await asyncio.to_thread(drop_recorded, runtime.folder, scored)
        if sender.stopped_by is not None:
            raise sender.stopped_by
    return [sender.settled[item.spec.episode_id] for item in wanted]


@dataclass
class _Away:
    """A slice on its way."""

    items: list[PlannedAttempt]
    pulse: Pulse
    handing: Handing
    means: list[tuple[object, ...]]  # of what it was sent with: no others may be handed to it
    begun: float | None = None  # when it was first seen at work

    @property
    def busy_s(self) -> float | None:
        """How long it has been at work, None where it was not seen at it yet."""
        return None if self.begun is None else time.monotonic() - self.begun


@dataclass
class _Sender:
    """What is not yet sent, what is on its way and what has come of it."""

    runtime: Runtime
    settings: RunSettings
    model_block: str | None
    pool: SlicePool
    wanted: Sequence[PlannedAttempt]
    retried: int  # the last order to try errors again
    waiting: list[PlannedAttempt] = field(default_factory=list)
    away: dict[UUID, _Away] = field(default_factory=dict)
    settled: dict[str, Episode] = field(default_factory=dict)
    losses: Counter[str] = field(default_factory=Counter)
    stopped_by: GrindstoneError | None = None
    capped: list[PlannedAttempt] = field(default_factory=list)  # what a ceiling stopped
    taken: float = field(default_factory=time.monotonic)  # when a worker last had something
    scored: ScoredEpisodes = field(init=False)
    workers: SliceWorkers = field(init=False)
    alone: bool = False  # whether it was told that no worker comes

    def __post_init__(self) -> None:
        """Have read nothing yet."""
        self.scored = ScoredEpisodes(self.runtime.ledger, self.runtime.run_key)
        self.workers = SliceWorkers(self.pool.client, self.pool.name)

    async def begin(self) -> None:
        """Take what is in the ledger, then what a dead process has sent; the rest waits."""
        scored = await self._scored()
        ids = [item.spec.episode_id for item in self.wanted]
        self.settled = {name: scored[name] for name in ids if name in scored}
        left = {i.spec.episode_id: i for i in self.wanted if i.spec.episode_id not in self.settled}
        for run in await self.pool.unfinished():
            work = AttemptSlice.model_validate(run.parameters["work"])
            handing = Handing(self.runtime.folder.pulse(str(run.id)))
            specs = list(work.attempts)
            while more := await asyncio.to_thread(handing.take):
                specs += more
            found = [left.pop(s.episode_id) for s in specs if s.episode_id in left]
            if found:
                means = [spec.means for spec in work.attempts]
                pulse = self._pulse(run.id)
                self.away[run.id] = _Away(found, pulse, handing, means)
        self.waiting = list(left.values())

    def goes_on(self) -> bool:
        """Return whether there is more to do; what a ceiling stopped that is higher by now waits.

        A paused run does not end by a ceiling, which may yet be raised.
        """
        stop, steer = self.stopped_by, self.runtime.steering
        if isinstance(stop, BudgetExceededError) and lifted(stop, steer.ceilings):
            self.stopped_by = None
            self.waiting += self.capped
            self.capped = []
        return bool(self.waiting or self.away or (self.capped and steer.now.paused))

    def retry(self) -> None:
        """Let wait again, where an order says so, what has no score."""
        if self.stopped_by is not None or self.runtime.steering.now.retried <= self.retried:
            return
        self.retried = self.runtime.steering.now.retried
        for item in self.wanted:
            known = self.settled.get(item.spec.episode_id)
            if known is not None and known.passed is None:
                del self.settled[item.spec.episode_id]
                self.waiting.append(item)

    async def give(self) -> None:
        """Send what waits, or hand it to slices at work, unless the run is paused."""
        steer = self.runtime.steering
        if self.waiting and not steer.now.paused:
            slices = steer.now.max_slices or self.settings.max_slices or await self.pool.workers()
            await self._send_slices(slices)
            await self._hand_more(slices)

    async def _send_slices(self, slices: int) -> None:
        """Send slices as long as there is a worker for one."""
        steer = self.runtime.steering
        while self.waiting and len(self.away) < slices:
            size = slice_size(
                len(self.waiting),
                slices=slices,
                at_once=steer.max_workers,
                attempt_s=_mean_s(list(self.settled.values())),
                most=self._most,
            )
            items = _that_fit(self.waiting, size)
            run_id = await self._send(items)
            self.waiting = self.waiting[len(items) :]
            handing = Handing(self.runtime.folder.pulse(str(run_id)))
            means = [item.spec.means for item in items]
            self.away[run_id] = _Away(items, self._pulse(run_id), handing, means)

    async def _hand_more(self, slices: int) -> None:
        """Hand more to slices at work that have little left.

        One that has been at work for long ends where others wait for a worker.
        """
        at_once = self.runtime.steering.max_workers
        attempt_s = _mean_s(list(self.settled.values()))
        for away in list(self.away.values())[:slices]:
            left = sum(item.spec.episode_id not in self.settled for item in away.items)
            size = lacking(
                left, len(self.waiting), slices=slices, at_once=at_once, attempt_s=attempt_s
            )
            if self._most is not None:
                size = min(size, self._most - len(away.items))
            if size < 1 or not self.waiting or away.busy_s is None:
                continue
            if away.busy_s > SLICE_S and await self.pool.wanted_by_others():
                continue
            items = _that_fit([i for i in self.waiting if i.spec.means in away.means], size)
            if not items:
                continue
            specs = [item.spec for item in items]
            await asyncio.to_thread(pack, self.runtime.home, specs)
            if await asyncio.to_thread(away.handing.hand, specs):
                handed = {spec.episode_id for spec in specs}
                self.waiting = [i for i in self.waiting if i.spec.episode_id not in handed]
                away.items += items

    async def look(self) -> None:
        """See what has come of what is on its way."""
        if not self.away:
            return
        runs = await self.pool.slices(self.away)
        if any(run.state is not None and run.state.is_pending() for run in runs):
            await self.workers.look()
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
                if state.is_running() and away.begun is None:
                    away.begun = self.taken
                silent_s = away.pulse.silent_s()
                if silent_s > (LOST_S if state.is_running() else START_S):
                    await self._give_up(run.id, f"It gave no sign of life for {silent_s:.0f} s.")
                elif state.is_pending() and (why := await self.workers.lost(run, silent_s, LOST_S)):
                    await self._give_up(run.id, why)

    async def call_off(self) -> None:
        """Cancel what is on its way."""
        if self.away:
            await self.pool.call_off(self.away)

    @property
    def _most(self) -> int | None:
        """How many attempts a slice may have, as the user says."""
        return self.runtime.steering.now.slice_size or self.settings.slice_size

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
        return await self.pool.send(work)

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
            left = [item for item in left if item.spec.episode_id not in self.settled]
            error: BaseException = RuntimeError("the slice ended without it")
        else:
            said = await asyncio.to_thread(end_told, pulse)
            error = await _error_of(state) if said is None else said
        if isinstance(error, BudgetExceededError):
            if not isinstance(self.stopped_by, InputError):  # which nobody lifts
                self.stopped_by = error
                self.capped += left + self.waiting
            self.waiting = []
            return
        if isinstance(error, GrindstoneError) and not isinstance(error, InfrastructureError):
            self.stopped_by, self.waiting, self.capped = error, [], []
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

    async def _give_up(self, run_id: UUID, why: str) -> None:
        self.away[run_id].pulse.give_up()
        await self.pool.give_up(run_id, why)

    def _tell_alone(self) -> None:
        if not self.alone and time.monotonic() - self.taken > LOST_S:
            self.alone = True
            self.runtime.note(
                f"No worker has taken an attempt for {LOST_S:.0f} seconds: is one running for the "
                f"pool {self.pool.name}? `prefect worker start --pool {self.pool.name}`"
            )

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


def _that_fit(items: list[PlannedAttempt], size: int) -> list[PlannedAttempt]:
    """Return the first so many, or as many as fit into one slice."""
    sizes = [len(item.spec.model_dump_json()) for item in items[:size]]
    return items[: that_fit(sizes, size)]


def _mean_s(episodes: Sequence[Episode]) -> float | None:
    took = [(row.ended_at - row.started_at).total_seconds() for row in episodes]
    return sum(took) / len(took) if took else None


async def _error_of(state: State) -> BaseException:
    try:
        await araise_state_exception(state)
    except BaseException as error:  # noqa: BLE001 - it is asked for, to be looked at
        return error
    return RuntimeError(f"the slice ended as {state.name}")
