"""Attempts sent to a work pool in slices, and what comes of them.

Who sends keeps as many slices on their way as there are workers, and hands those that have little
left some more. A slice whose worker ended, or whose signs of life stopped, costs what it had not
finished: that is sent again in other slices. A run that goes on takes over the slices its dead
process has sent.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.states import Crashed, araise_state_exception

from grindstone.attempt.mailbox import SliceMailbox
from grindstone.attempt.record import drop_recorded
from grindstone.attempt.spec import AttemptSpec
from grindstone.attempt.travelling import pack
from grindstone.errors import GrindstoneError, InfrastructureError
from grindstone.flows.attempt import Enough, PlannedAttempt, leave_unscored, told
from grindstone.flows.dispatch.attempt_slice import AttemptSlice, own_slice
from grindstone.flows.dispatch.slice_pool import SlicePool
from grindstone.flows.dispatch.slice_workers import SliceWorkers
from grindstone.flows.dispatch.worklist import Attempts, Worklist
from grindstone.ledger.recall import ScoredEpisodes
from grindstone.records import Episode
from grindstone.runs.allowance import Allowance
from grindstone.runs.lease import LOST_S, Pulse, clear
from grindstone.runs.progress import SentAway
from grindstone.runs.slicing import SLICE_S, lacking, slice_size
from grindstone.settings import RunSettings
from grindstone.tasks.runtime import Runtime

LOOK_S = 2.0
"""Pause between two looks at what is on its way."""
LAST_LOOK_S = 0.3
"""The same, where all of it has its episode and the slices have only to end."""
START_S = 5 * LOST_S
"""How long a worker that lives may take to start a slice's process."""
DELETED: State[None] = Crashed(message="It is not on the Prefect server any more.")
"""How a slice ended that somebody deleted."""


async def attempt_in_slices(
    runtime: Runtime,
    wanted: Sequence[PlannedAttempt],
    settings: RunSettings,
    model_block: str | None,
    enough: Enough | None = None,
) -> list[Episode]:
    """Have workers make attempts; what kept one from a score costs that attempt alone.

    Args:
        runtime: The run's resources.
        wanted: What to try, each once.
        settings: Of the run: how many at once, and in how large slices.
        model_block: Saved block with the credentials.
        enough: What may leave out those that are not on their way; None: all are made.

    Returns:
        The episodes of those that were made, in the order asked for.

    Raises:
        BudgetExceededError: A ceiling was reached; the attempts already begun have ended.
        InputError: A task is broken, or changed since the run was planned.
        CancelledRun: Somebody called a slice off.
    """
    todo = Worklist(wanted, runtime.steering)
    async with get_client() as client:
        pool = await SlicePool.of(client, runtime.run_key)
        sender = _Sender(runtime, settings, model_block, pool, todo, enough or Enough())
        await sender.begin()
        try:
            while sender.goes_on():
                todo.retry()
                await sender.give()
                await asyncio.sleep(sender.pause_s)
                await sender.look()
        except BaseException:
            if not runtime.displaced.is_set():  # else they are another driver's by now
                await sender.call_off()
            raise
        with contextlib.suppress(InfrastructureError):  # what is left hinders nobody
            await asyncio.to_thread(
                clear, runtime.folder.slices, sender.is_over, all_done=todo.all_scored
            )
            await asyncio.to_thread(drop_recorded, runtime.folder, todo.scored)
        if todo.stopped_by is not None:
            raise todo.stopped_by
    return todo.episodes()


class _Away:
    """A slice on its way.

    Attributes:
        items: All it was sent with and handed since, as far as it is known.
        means: What the attempts it was sent with are made by; it is handed no others.
        begun: When it was first seen at work, on this process's clock.
    """

    def __init__(self, place: Path, sent: Iterable[AttemptSpec]) -> None:
        """Take the place of its signs of life, and what it was sent with."""
        self.pulse, self.mailbox = Pulse(place), SliceMailbox(place)
        self.means = [spec.means for spec in sent]
        self.items: Attempts = {}
        self.begun: float | None = None

    @property
    def busy_s(self) -> float | None:
        """How long it has been at work, None where it was not seen at it yet."""
        return None if self.begun is None else time.monotonic() - self.begun


@dataclass
class _Sender:
    """The slices of one run that are on their way, and what they are made of."""

    runtime: Runtime
    settings: RunSettings
    model_block: str | None
    pool: SlicePool
    todo: Worklist
    enough: Enough
    away: dict[UUID, _Away] = field(default_factory=dict)
    taken: float = field(default_factory=time.monotonic)  # when a worker last had something
    scored: ScoredEpisodes = field(init=False)
    workers: SliceWorkers = field(init=False)
    asked: float = 0.0  # when it was last asked why no worker takes anything
    told: str = ""  # what came of that

    def __post_init__(self) -> None:
        """Have read nothing yet."""
        self.scored = ScoredEpisodes(self.runtime.ledger, self.runtime.run_key)
        self.workers = SliceWorkers(self.pool.client, self.pool.name)

    async def begin(self) -> None:
        """Take what is in the ledger, then what a dead process has sent; the rest waits."""
        scored = await self._scored()
        self._see(self.todo.settle(self.todo.take(scored), scored))
        for run in await self.pool.unfinished():
            work = own_slice(run.parameters.get("work"))
            if work is None:
                await asyncio.to_thread(Pulse(self._place(run.id)).give_up)
                await self.pool.give_up(run.id, "Another version of Grindstone had sent it.")
                continue
            specs = list(work.attempts)
            away = _Away(self._place(run.id), specs)
            while more := await asyncio.to_thread(away.mailbox.take):
                specs += more
            away.items = self.todo.take([spec.episode_id for spec in specs])
            if away.items:
                self._add(run.id, away)

    def goes_on(self) -> bool:
        """Return whether there is more to do, by the ceilings as they are now."""
        self.todo.lift()
        return bool(self.away or self.todo.open)

    @property
    def pause_s(self) -> float:
        """How long until it is worth looking again."""
        left = self.todo.open or any(self.todo.unsettled(each.items) for each in self.away.values())
        return LOOK_S if left else LAST_LOOK_S

    async def give(self) -> None:
        """Send what waits, or hand it to slices at work, unless the run is paused."""
        steer = self.runtime.steering
        if self.enough.met:
            self.todo.leave_out()
        if self.todo.waiting and not steer.now.paused:
            slices = steer.now.max_slices or self.settings.max_slices or await self.pool.places()
            await self._send_slices(slices)
            await self._hand_more(slices)

    async def _send_slices(self, slices: int) -> None:
        """Send slices as long as there is a worker for one."""
        steer = self.runtime.steering
        while self.todo.waiting and len(self.away) < slices:
            size = slice_size(
                len(self.todo.waiting),
                slices=slices,
                at_once=steer.max_workers,
                attempt_s=self.todo.mean_s,
                most=self._most,
                sparing=self.enough.possible,
            )
            items = self.todo.next(size)
            specs = [item.spec for item in items.values()]
            run_id = await self._send(specs)
            away = _Away(self._place(run_id), specs)
            away.items = self.todo.take(items)
            self._add(run_id, away)

    async def _hand_more(self, slices: int) -> None:
        """Hand more to slices at work that have little left.

        One that has been at work for long ends where others wait for a worker.
        """
        at_once, attempt_s = self.runtime.steering.max_workers, self.todo.mean_s
        for away in list(self.away.values())[:slices]:
            left, waiting = len(self.todo.unsettled(away.items)), len(self.todo.waiting)
            size = lacking(
                left,
                waiting,
                slices=slices,
                at_once=at_once,
                attempt_s=attempt_s,
                sparing=self.enough.possible,
            )
            if self._most is not None:
                size = min(size, self._most - len(away.items))
            if size < 1 or not waiting or away.busy_s is None or self.todo.is_alone(away.items):
                continue
            if away.busy_s > SLICE_S and await self.pool.wanted_by_others():
                continue
            items = self.todo.next(size, away.means)
            if not items:
                continue
            specs = [item.spec for item in items.values()]
            await asyncio.to_thread(pack, self.runtime.home, specs)
            if await asyncio.to_thread(away.mailbox.hand, specs):
                away.items |= self.todo.take(items)

    async def look(self) -> None:
        """See what has come of what is on its way."""
        if not self.away:
            return
        runs = await self.pool.slices(self.away)
        if any(run.state is not None and run.state.is_pending() for run in runs):
            await self.workers.look()
        scored = await self._scored()  # read last: what is final has written all it will
        for run_id in self.away.keys() - {run.id for run in runs}:
            self._settle(self.away[run_id], scored)
            await self._end(run_id, DELETED)
        for run in runs:
            away, state = self.away[run.id], run.state
            self._settle(away, scored)
            if state is None:
                continue
            if state.is_final():
                await self._end(run.id, state)
            elif state.is_scheduled():
                away.pulse.renew()
                await self._tell_waiting()
            else:
                self.taken, self.told = time.monotonic(), ""
                if state.is_running() and away.begun is None:
                    away.begun = self.taken
                silent_s = away.pulse.silent_s()
                if silent_s > (LOST_S if state.is_running() else START_S):
                    await self._give_up(run.id, f"It gave no sign of life for {silent_s:.0f} s.")
                elif state.is_pending() and (why := await self.workers.lost(run, silent_s, LOST_S)):
                    await self._give_up(run.id, why)
        left = sum(len(self.todo.unsettled(each.items)) for each in self.away.values())
        self.runtime.tell(SentAway(left))

    async def call_off(self) -> None:
        """Cancel what is on its way."""
        if self.away:
            await self.pool.call_off(self.away)
            self.runtime.slices.difference_update(map(str, self.away))

    def is_over(self, name: str) -> bool:
        """Return whether a name is that of a slice that has ended; others send of this run, too.

        Who shares the budget has signs of life beside those of slices.
        """
        try:
            return str(UUID(name)) == name and name not in self.runtime.slices
        except ValueError:
            return False

    @property
    def _most(self) -> int | None:
        """How many attempts a slice may have, as the user says."""
        return self.runtime.steering.now.slice_size or self.settings.slice_size

    async def _send(self, specs: Sequence[AttemptSpec]) -> UUID:
        work = AttemptSlice(
            attempts=tuple(specs),
            address=await asyncio.to_thread(pack, self.runtime.home, specs),
            allowance=Allowance(
                max_workers=self.runtime.steering.max_workers,
                model_block=self.model_block,
                spending=self.runtime.steering.ceilings,
                rates=self.settings.rates,
            ),
        )
        return await self.pool.send(work)

    async def _end(self, run_id: UUID, state: State) -> None:
        """Settle what a slice left that has ended.

        Who says that it has ended need not be its process, which may live, or be begun again by
        *Retry*: it is to stop before what it left is made elsewhere.
        """
        away = self.away.pop(run_id)
        self.runtime.slices.discard(str(run_id))
        if not self.todo.unsettled(away.items):
            return
        if state.is_completed():  # what has no score has an error in the ledger
            ledger, key = self.runtime.ledger, self.runtime.run_key
            rows = await asyncio.to_thread(ledger.rows, Episode, key)
            self._settle(away, {row.episode_id: row for row in rows})
        elif not state.is_cancelled():
            await asyncio.to_thread(away.pulse.give_up)
        left = self.todo.unsettled(away.items)
        error = await _why_ended(state, away.mailbox)
        called_off = state.is_cancelled() and not isinstance(error, GrindstoneError)
        if called_off or not isinstance(error, Exception):
            raise error
        for item, lost in self.todo.end(left, error):
            episode = await leave_unscored(self.runtime, item, lost)
            self.todo.settled[episode.episode_id] = episode
            self._see([episode])

    def _settle(self, away: _Away, found: dict[str, Episode]) -> None:
        new = self.todo.settle(away.items, found)
        for episode in new:
            self.runtime.tell(told(episode))
            self.runtime.ended_elsewhere(episode)
        self._see(new)

    def _see(self, new: Iterable[Episode]) -> None:
        for episode in new:
            self.enough.see(episode)

    async def _give_up(self, run_id: UUID, why: str) -> None:
        await asyncio.to_thread(self.away[run_id].pulse.give_up)
        await self.pool.give_up(run_id, why)

    async def _tell_waiting(self) -> None:
        """Tell why nothing is taken, where that is so for long, and again where it changes."""
        now = time.monotonic()
        if now - max(self.taken, self.asked) <= LOST_S:
            return
        self.asked, why = now, await self.pool.why_waiting()
        if why != self.told:
            self.told = why
            self.runtime.note(f"No worker has taken an attempt for {now - self.taken:.0f} s: {why}")

    def _add(self, run_id: UUID, away: _Away) -> None:
        self.away[run_id] = away
        self.runtime.slices.add(str(run_id))

    def _place(self, run_id: UUID) -> Path:
        return self.runtime.folder.pulse(str(run_id))

    async def _scored(self) -> dict[str, Episode]:
        return await asyncio.to_thread(self.scored.now)


async def _why_ended(state: State, mailbox: SliceMailbox) -> BaseException:
    """Return why a slice ended that has not done all it was given.

    Args:
        state: Its last one.
        mailbox: Where it leaves word.
    """
    if state.is_completed():
        return RuntimeError("the slice ended without it")
    said = await asyncio.to_thread(mailbox.told_end)
    if said is not None:
        return said
    try:
        await araise_state_exception(state)
    except BaseException as error:  # noqa: BLE001 - it is asked for, to be looked at
        return error
    return RuntimeError(f"the slice ended as {state.name}")
