"""A run that reads its orders while it goes on."""

import asyncio
import math
from collections.abc import Callable

from grindstone.errors import BudgetExceededError, InfrastructureError, InputError
from grindstone.home import RunFolder
from grindstone.llm.budget import Spending
from grindstone.runs.progress import Note, Watcher, ignore
from grindstone.runs.slots import Slots
from grindstone.steering import NO_CEILING, GivenOrder, Steer, orders_of, steer_of


class Steering:
    """What a run may do at the moment: its settings, and its orders over them.

    For one event loop. Orders are read on `look`; whoever waits for a change is woken.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        max_workers: int = 1,
        spending: Spending = Spending(),
        tell: Watcher = ignore,
    ) -> None:
        """Read the orders so far; those that ask something once are past.

        Args:
            folder: The run's.
            max_workers: Of its settings.
            spending: Of its settings.
            tell: Told of each order that comes.

        Raises:
            InputError: A file among the orders is none.
        """
        self._folder, self._workers, self._spending, self._tell = (
            folder,
            max_workers,
            spending,
            tell,
        )
        self.now: Steer = steer_of(folder)
        self._begun = self.now.last
        self._retried = self._begun
        self._changed = asyncio.Event()
        self._damaged = ""
        self.slots = Slots(lambda: 0 if self.now.paused else self.max_workers)
        self.on_cancel: Callable[[], object] = lambda: None

    @property
    def max_workers(self) -> int:
        """How many attempts may run at once."""
        return self.now.max_workers or self._workers

    @property
    def ceilings(self) -> Spending:
        """What may be spent."""
        told = self.now.model_dump(include=set(NO_CEILING), exclude_none=True)
        now = {name: None if value == NO_CEILING[name] else value for name, value in told.items()}
        return self._spending.model_copy(update=now)

    @property
    def cancelled(self) -> bool:
        """Whether it was called off since this process took it up."""
        return self.now.cancelled > self._begun

    def take_retry(self) -> bool:
        """Return whether what errored is to be tried again, by an order not yet taken."""
        fresh = self.now.retried > self._retried
        self._retried = self.now.retried
        return fresh

    async def look(self) -> Spending:
        """Read the orders that came; return what may be spent."""
        after = self.now.last
        try:
            found = await asyncio.to_thread(orders_of, self._folder, after=after)
        except InputError as error:
            if str(error) != self._damaged:
                self._damaged = str(error)
                self._tell(Note(self._damaged))
            found = ()
        except InfrastructureError:
            found = ()  # storage elsewhere does not answer; the next look will do
        fresh = [order for order in found if order.number > self.now.last]
        if fresh:
            self._take(fresh)
        return self.ceilings

    async def changed(self) -> None:
        """Wait for the next orders; `look` is called by somebody else."""
        await self._changed.wait()

    async def allowed(self) -> None:
        """Wait while the run is paused."""
        while self.now.paused:
            await self.changed()

    def _take(self, orders: list[GivenOrder]) -> None:
        self.now = self.now.after(orders)
        for order in orders:
            self._tell(Note(order.sentence))
        self._changed.set()
        self._changed = asyncio.Event()
        self.slots.review()
        if self.cancelled:
            self.on_cancel()


def lifted(stop: BudgetExceededError, ceilings: Spending) -> bool:
    """Return whether the ceiling that stopped somebody is higher by now, or there is none."""
    now = {"max_cost_usd": ceilings.max_cost_usd, "max_tokens_total": ceilings.max_tokens_total}
    return stop.ceiling in now and (now[stop.ceiling] or math.inf) > stop.limit
