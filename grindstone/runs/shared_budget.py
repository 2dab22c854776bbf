"""One process's share of a run's ceilings, where several processes spend under them.

What a process may spend it is given in parts, so that most calls ask nobody. Its share is under a
name that its paid calls have in the journal. Who waits for more gives up a process that is dead, or
gave no sign of life for as long as it waits: what its calls cost is then read from the journal,
and the rest of its share is free. Was it alive after all, it finds its share gone before its next
call and takes another one, under another name.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from functools import partial

from grindstone.errors import InfrastructureError
from grindstone.home import RunFolder
from grindstone.llm.budget import CallNeed, Spending
from grindstone.llm.calls import CallRecord
from grindstone.llm.journal import Journal
from grindstone.remote.shared_record import SharedRecord
from grindstone.runs import lease
from grindstone.runs.account import (
    EVERYTHING,
    NOBODY,
    Account,
    Amount,
    AskedBudget,
    Ruling,
    Share,
    asked,
    limit_of,
    refusal,
)
from grindstone.runs.own_share import OwnShare, is_name
from grindstone.sandbox.owner import this_process

LOOK_S = 0.5
"""Pause between two looks of a process that waits for others to give back."""


class SharedBudget:
    """The ceilings of a run as one process of it keeps them. For one event loop."""

    def __init__(self, folder: RunFolder, *, drives: bool = False) -> None:
        """Take the run's folder; nothing is asked for before the first call under a ceiling.

        Args:
            folder: The run's.
            drives: Whether this process drives the run: it begins with what the journal has, and
                settles in the end what the others spent, who have ended by then.
        """
        self._drives = drives
        self._own = OwnShare()
        self._folder = folder
        self._journal = Journal(folder.journal)
        self._record = SharedRecord(folder.account, Account)
        self._turn = asyncio.Lock()  # one call at a time asks
        self._ended = asyncio.Event()  # a call in flight has
        self._talking = threading.Lock()  # one change of the account at a time
        self._waiting = False  # whether a call of this process does
        self._has_joined = False  # whether it had a share when the account was last changed
        self._settles = drives  # whether it reads the journal when it joins
        self._wanted = False  # whether others wait
        self._silent: dict[str, lease.Pulse] = {}
        self._over = threading.Event()
        self._beat: threading.Thread | None = None
        self._giving_back: set[asyncio.Task[None]] = set()

    @staticmethod
    def is_kept(folder: RunFolder) -> bool:
        """Return whether processes of a run have shared its ceilings.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        return SharedRecord(folder.account, Account).exists()

    @property
    def payer(self) -> str:
        """The name under which this process spends."""
        return self._own.name

    async def begin(
        self, need: CallNeed, ceilings: Callable[[], Awaitable[Spending]]
    ) -> Callable[[], None]:
        """Set aside what a call may use at most, once there is room for it.

        Args:
            need: Of the call.
            ceilings: Asked for those of the moment.

        Returns:
            What gives it back.

        Raises:
            BudgetExceededError: It does not fit under a ceiling any more.
            InfrastructureError: The storage of a remote home did not answer.
        """
        expected = Amount(tokens=need.tokens, usd=need.cost_usd)
        most = Amount(tokens=need.most_tokens, usd=need.most_usd).at_least(expected)
        async with self._turn:
            try:
                while True:
                    limit = limit_of(await ceilings())
                    if self._own.take(expected, most, limit):
                        return partial(self._release, expected, most)
                    self._ended.clear()
                    found = await self._asked(expected, most, limit)
                    if found.ruling is Ruling.BEGIN:
                        return partial(self._release, expected, found.reserved)
                    if found.ruling is Ruling.REFUSE:
                        raise refusal(found, expected, limit)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._ended.wait(), LOOK_S)
            finally:
                if self._waiting:  # it was called off: others need not let it go first
                    self._waiting = False
                    self._tell_soon()

    def paid(self, record: CallRecord) -> None:
        """Count a call of this process that is in the journal."""
        self._own.pay(_bill(record))

    def _release(self, expected: Amount, most: Amount) -> None:
        self._own.give_back(expected, most)
        self._ended.set()
        if self._wanted:
            self._tell_soon()

    def step_down(self) -> None:
        """Have this process drive the run no more: the shares of the others are another one's."""
        self._drives = False

    async def close(self) -> None:
        """Settle what was spent and give back the rest."""
        self._over.set()
        if self._giving_back:
            await asyncio.wait(self._giving_back)
        if self._has_joined or self._drives:
            await asyncio.to_thread(self._leave)

    async def _asked(self, expected: Amount, most: Amount, limit: Amount) -> AskedBudget:
        asking = asyncio.ensure_future(asyncio.to_thread(self._ask, expected, most, limit))

        def undo(done: asyncio.Future[AskedBudget]) -> None:
            if done.exception() is None and (found := done.result()).ruling is not Ruling.REFUSE:
                self._waiting = False
                begun = found.ruling is Ruling.BEGIN
                self._release(*((expected, found.reserved) if begun else (Amount(), Amount())))
                self._tell_soon()

        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(undo)
            raise

    def _ask(self, expected: Amount, most: Amount, limit: Amount) -> AskedBudget:
        """Ask for a call; what is reserved for it when it may begin is set aside."""
        answers: list[AskedBudget] = []

        def work(account: Account) -> Account:
            found = asked(
                account, self.payer, self._own.use, expected=expected, most=most, limit=limit
            )
            answers.append(found)
            return answers[-1].account

        def note() -> None:
            answer = answers[-1]
            self._own.granted_under(limit)
            self._waiting = answer.ruling is Ruling.WAIT
            if answer.ruling is Ruling.BEGIN:
                self._own.set_aside(expected, answer.reserved)

        while True:
            self._change(work, note)
            dead = self._dead(answers[-1]) if self._waiting else []
            if not dead:
                return answers[-1]
            self._change(partial(self._buried, dead))
            for name in dead:
                lease.Sign(self._folder.pulse(name)).remove()

    def _tell(self) -> None:
        """Tell what was spent, and keep only what calls in flight may use."""

        def work(account: Account) -> Account:
            use, mine = self._own.use, account.shares[self.payer]
            place = mine.waits if self._waiting else 0
            kept = {"granted": use.all, "spent": use.spent, "waits": place}
            return account.having(self.payer, mine.model_copy(update=kept))

        with contextlib.suppress(InfrastructureError):  # who waits looks on
            self._change(work)

    def _tell_soon(self) -> None:
        task = asyncio.create_task(asyncio.to_thread(self._tell))
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)

    def _change(
        self, work: Callable[[Account], Account], note: Callable[[], None] = lambda: None
    ) -> None:
        """Change the account, in which this process has a share then.

        Args:
            work: Does.
            note: Called when it is done, before another call may begin.
        """

        def change(found: Account | None) -> Account:
            account = found or self._begun()
            if self.payer not in account.shares:
                self._settles |= found is None
                account = self._joined(account)
            return work(account)

        with self._talking:
            self._own.suspend()
            account = self._record.change(change)
            self._has_joined, self._settles = True, False
            note()
            self._own.grant(account.shares[self.payer].granted)
            self._seen(account)
            if self._beat is None:
                self._beat = threading.Thread(target=self._live, name="budget", daemon=True)
                self._beat.start()

    def _begun(self) -> Account:
        """Return an account where there is none, or none any more."""
        given = lease.names(self._folder.slices)
        if self._has_joined or any(is_name(name) and name != self.payer for name in given):
            return Account(shares={NOBODY: Share(granted=EVERYTHING)})
        return Account()

    def _joined(self, account: Account) -> Account:
        """Return the account with a share of this process.

        What the journal has of those without a share is settled: by who begins the account, and
        by who has spent without a share, or after losing it.
        """
        if self._has_joined:
            self._own.rename()
            self._has_joined, self._settles = False, True
        use = self._own.use
        share = Share(granted=use.all, spent=use.spent, **this_process()._asdict())
        joined = account.having(self.payer, share)
        return self._settled(joined) if self._settles or use.spent != Amount() else joined

    def _buried(self, dead: list[str], account: Account) -> Account:
        return self._settled(account.without(*dead))

    def _settled(self, account: Account) -> Account:
        """Return the account with what the journal has of processes without a share."""
        every = self._journal.bills()
        bills = [_bill(bill.record) for bill in every if bill.payer not in account.shares]
        return account.model_copy(update={"settled": sum(bills, start=Amount())})

    def _dead(self, answer: AskedBudget) -> list[str]:
        """Return those of the others that hold something and live no more."""
        shares = answer.account.shares
        holding = {
            name: share
            for name, share in shares.items()
            if name != self.payer and (share.taken != share.spent or share.waits)
        }
        for name in holding:
            self._silent.setdefault(name, lease.Pulse(self._folder.pulse(name)))
        return [
            name
            for name, share in holding.items()
            if share.ended or self._silent[name].silent_s() > lease.LOST_S
        ]

    def _live(self) -> None:
        """Give signs of life, and give back what others wait for."""
        number = 0
        while not self._over.is_set():
            with contextlib.suppress(OSError, InfrastructureError):
                lease.Sign(self._folder.pulse(self.payer)).write(str(number))
                if not self._seen(self._record.read()) and not self._turn.locked():
                    self._change(lambda account: account)  # its calls in flight count there, too
            if self._wanted and not self._turn.locked():
                self._tell()
            number += 1
            self._over.wait(lease.BEAT_S)

    def _seen(self, account: Account | None) -> bool:
        """Take in how the account is; return whether this process has a share in it."""
        if account is None or self.payer not in account.shares:
            self._own.missed()
            return False
        self._own.seen()
        self._wanted = any(share.waits for share in account.others(self.payer))
        return True

    def _leave(self) -> None:
        gone: set[str] = set()

        def work(found: Account | None) -> Account:
            account = found or self._begun()
            if self._drives:
                gone.update(account.shares)
                return self._settled(account.without(*account.shares))
            if self.payer not in account.shares:
                return account  # its calls are read from the journal
            gone.add(self.payer)
            return account.without(self.payer).settling(self._own.use.spent)

        if self._beat is not None:
            self._beat.join()
        with contextlib.suppress(InfrastructureError), self._talking:
            if self._has_joined or self._record.exists():
                self._record.change(work)
            for name in gone:
                lease.Sign(self._folder.pulse(name)).remove()


def _bill(record: CallRecord) -> Amount:
    used = record.usage + record.lost
    return Amount(tokens=used.total_tokens, usd=record.cost_usd or 0.0)
