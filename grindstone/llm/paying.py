"""Paying for a model's answers: journal first, then budget, then the wire, then the books."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from grindstone.digest import digest
from grindstone.llm.budget import CallNeed, RequestSize, SharedCeilings, Spending, SpendMeter
from grindstone.llm.calls import GIVEN_UP, CallRecord
from grindstone.llm.journal import Journal, JournalEntry
from grindstone.llm.messages import CallSite, Response
from grindstone.llm.pace import Paces
from grindstone.llm.prices import NO_PRICES, Price, PriceList, price, price_of
from grindstone.llm.providers import Provider, Resolved
from grindstone.llm.timeouts import Timeouts
from grindstone.masking import NO_MASK, Mask
from grindstone.records import Usage, utc_now

if TYPE_CHECKING:
    from grindstone.llm.asking import Inquiry, RetriedCall

OnCall = Callable[[CallRecord], None]


def masked_response(response: Response, mask: Mask) -> Response:
    """Return an answer without known keys; the same object where it holds none."""
    text = response.model_dump_json()
    shown = mask(text)
    return response if shown == text else Response.model_validate_json(shown)


@dataclass(frozen=True)
class CallAccounting:
    """What all models of a run share."""

    run_key: str
    journal: Journal
    meter: SpendMeter
    patience: Timeouts
    price_as: str | None
    on_call: OnCall | None
    mask: Mask = NO_MASK
    own_prices: PriceList = NO_PRICES
    ceilings: Callable[[], Awaitable[Spending]] | None = None
    """Asked before each call for the ceilings of the moment; None: they stay."""
    shared: SharedCeilings | None = None
    """None: no other process spends under the ceilings."""
    paces: Paces = field(default_factory=Paces)

    def price(self, resolved: Resolved, usage: Usage, *, rehearsal: bool = False) -> Price:
        """Return what some tokens cost at a model's present price.

        Args:
            resolved: The model.
            usage: The tokens.
            rehearsal: A rehearsal server answered, though another model was asked for.
        """
        if not (rehearsal or resolved.rehearsal):
            return price_of(resolved, usage, self.own_prices)
        return price(usage, resolved.name, Provider.REHEARSAL, at=utc_now(), price_as=self.price_as)

    def enter(self, record: CallRecord) -> None:
        """Count a call once and tell of it once, however often it is replayed."""
        if self.meter.count(record) and self.on_call is not None:
            self.on_call(record)


class PaidCalls:
    """The calls of one model: each is paid once in a run, and never past its ceilings."""

    def __init__(self, resolved: Resolved, books: CallAccounting) -> None:
        self.resolved = resolved
        self.books = books
        self._pace = books.paces.of(resolved.model_id)

    async def recall(self, key: str, site: CallSite) -> Response | None:
        """Return the answer that the run has paid for, None where there is none."""
        paid = await asyncio.to_thread(self.books.journal.look_up, key, site)
        if paid is None or paid.response is None:
            return None
        self.books.enter(paid.record.model_copy(update={"replayed": True}))
        return paid.response.model_copy(update={"replayed": True})

    async def pay(
        self, inquiry: "Inquiry", site: CallSite, key: str, *, size: RequestSize
    ) -> Response:
        """Ask, and put the answer into the journal before it is returned.

        Args:
            inquiry: What to ask, and how.
            site: Where in the run.
            key: The call's identity.
            size: By which what it will use is guessed.

        Raises:
            InfrastructureError: After the tries its policy allows.
            BudgetExceededError: Before the call, when a ceiling is reached.
        """
        # The SDK takes a second to import: not before the first live call.
        from grindstone.llm.asking import RetriedCall

        give_back = await self._begin(size)
        try:
            started_at = utc_now()
            call = RetriedCall(
                inquiry,
                call_id=key,
                patience=self.books.patience,
                pace=self._pace,
                expected_tokens=self.books.meter.guess(size)[0].total_tokens,
            )
            try:
                response = await call.ask()
            except BaseException:
                self._give_up(call, site, key, started_at)
                raise
            # Before it is used, so that what is replayed is what was lived.
            response = masked_response(response, self.books.mask)
            record = self._record(call, response, site, key, started_at)
            entry = JournalEntry(record=record, response=response)
            append = partial(self.books.journal.append, payer=self._payer)
            await asyncio.to_thread(append, site, entry)
            self._book(record)
            return response
        finally:
            give_back()

    async def _begin(self, size: RequestSize) -> Callable[[], None]:
        """Set aside what a call needs; return what gives it back."""
        meter, shared = self.books.meter, self.books.shared
        if shared is not None:
            return await shared.begin(self._need(size), self._ceilings)
        await self._ceilings()
        if meter.capped:
            for spent_elsewhere in await asyncio.to_thread(self.books.journal.news):
                meter.seed(spent_elsewhere)
        need = self._need(size)
        await meter.begin(need)
        return partial(meter.release, need)

    async def _ceilings(self) -> Spending:
        """Return the ceilings of the moment."""
        if self.books.ceilings is not None:
            self.books.meter.cap(await self.books.ceilings())
        return self.books.meter.ceilings

    @property
    def _payer(self) -> str:
        return "" if self.books.shared is None else self.books.shared.payer

    def _book(self, record: CallRecord) -> None:
        """Count a call that is in the journal."""
        if self.books.shared is not None:
            self.books.shared.paid(record)
        self.books.enter(record)

    def _need(self, size: RequestSize) -> CallNeed:
        expected, most = self.books.meter.guess(size)
        return CallNeed(
            expected.total_tokens,
            self.books.price(self.resolved, expected).usd or 0.0,
            most.total_tokens,
            self.books.price(self.resolved, most).usd or 0.0,
        )

    def _give_up(self, call: "RetriedCall", site: CallSite, key: str, started_at: datetime) -> None:
        """Book what a call used that was given up or cancelled; it may be asked again."""
        if call.lost.total_tokens == 0:
            return
        # A name of its own: the same call may be given up twice, and then be answered.
        name = digest([key, GIVEN_UP, started_at.isoformat()])
        record = self._record(call, None, site, name, started_at)
        # On the loop: a cancelled task must not wait for a thread.
        entry = JournalEntry(record=record, response=None)
        self.books.journal.append(site, entry, payer=self._payer)
        self._book(record)

    def _record(
        self,
        call: "RetriedCall",
        response: Response | None,
        site: CallSite,
        key: str,
        started_at: datetime,
    ) -> CallRecord:
        usage = response.usage if response is not None else Usage()
        bill = self.books.price(self.resolved, usage + call.lost, rehearsal=call.rehearsal)
        return CallRecord(
            call_id=key,
            run_key=self.books.run_key,
            role=site.role,
            scope=site.scope,
            turn=site.turn,
            task_id=site.task_id,
            model=self.resolved.model_id,
            provider=self.resolved.provider.value,
            usage=usage,
            lost=call.lost,
            tries=call.tries,
            stop_reason=response.stop_reason if response is not None else GIVEN_UP,
            cost_usd=bill.usd,
            price_source=bill.source,
            rehearsal=self.resolved.rehearsal or call.rehearsal,
            started_at=started_at,
            duration_s=call.duration_s,
        )
