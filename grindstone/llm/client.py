"""A model behind the SDK: journal first, then budget, then the wire, then the books."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from grindstone.digest import digest
from grindstone.llm.budget import SpendMeter
from grindstone.llm.calls import GIVEN_UP, CallRecord, call_key
from grindstone.llm.journal import Journal, JournalEntry
from grindstone.llm.messages import CallSite, Request, Response
from grindstone.llm.prices import Price, price
from grindstone.llm.providers import Provider, Resolved
from grindstone.llm.timeouts import Timeouts
from grindstone.masking import NO_MASK, Mask
from grindstone.records import Role, Usage, utc_now

if TYPE_CHECKING:
    from grindstone.llm.asking import RetriedCall
    from grindstone.llm.clients import Client

OnCall = Callable[[CallRecord], None]


def masked_response(response: Response, mask: Mask) -> Response:
    """Return an answer without known keys; the same object where it holds none."""
    text = response.model_dump_json()
    shown = mask(text)
    return response if shown == text else Response.model_validate_json(shown)


_CONVERSATIONS = frozenset({Role.SOLVER, Role.EVOLVER})


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

    def price(self, resolved: Resolved, usage: Usage, *, rehearsal: bool = False) -> Price:
        """Return what some tokens cost at a model's present price.

        Args:
            resolved: The model.
            usage: The tokens.
            rehearsal: A rehearsal server answered, though another model was asked for.
        """
        rehearsal = rehearsal or resolved.rehearsal
        return price(
            usage,
            resolved.model_id,
            Provider.REHEARSAL if rehearsal else resolved.provider,
            at=utc_now(),
            price_as=self.price_as if rehearsal else None,
        )

    def enter(self, record: CallRecord) -> None:
        """Count a call once and tell of it once, however often it is replayed."""
        if self.meter.count(record) and self.on_call is not None:
            self.on_call(record)


class AnthropicModel:
    """A `messages.Model` answered through the Anthropic SDK, by whichever provider."""

    def __init__(
        self,
        resolved: Resolved,
        books: CallAccounting,
        open_client: Callable[[], Awaitable["Client"]],
    ) -> None:
        self._resolved = resolved
        self._books = books
        self._open_client = open_client
        self._opening = asyncio.Lock()
        self._client: Client | None = None

    @property
    def model_id(self) -> str:
        """The model's id; where `auto` was asked for, what it stands for."""
        return self._resolved.model_id

    @property
    def provider(self) -> Provider:
        """Who answers."""
        return self._resolved.provider

    @property
    def rehearsal(self) -> bool:
        """Whether the offline rehearsal server answers."""
        return self._resolved.rehearsal

    async def complete(self, request: Request, site: CallSite) -> Response:
        """Return the model's answer, from the run's journal where it was paid before.

        A refusal is an answer (`stop_reason` is "refusal"), not an error.

        Raises:
            InfrastructureError: After the tries its policy allows.
            BudgetExceededError: Before the call, when a ceiling is reached.
            InputError: At the first call, when credentials, region or project are missing.
        """
        key = call_key(self._books.run_key, site, request, self.model_id)
        paid = await asyncio.to_thread(self._books.journal.look_up, key, site)
        if paid is not None and paid.response is not None:
            self._books.enter(paid.record.model_copy(update={"replayed": True}))
            return paid.response.model_copy(update={"replayed": True})
        return await self._pay(request, site, key)

    async def _pay(self, request: Request, site: CallSite, key: str) -> Response:
        client = await self._opened()
        meter = self._books.meter
        expected = meter.expected_usage(request)
        cost_usd = self._books.price(self._resolved, expected).usd
        reserved = meter.reserve(expected.total_tokens, cost_usd or 0.0)
        try:
            started_at = utc_now()
            question = self._question(client, request, site, key)
            try:
                response = await question.ask()
            except BaseException:
                self._give_up(question, site, key, started_at)
                raise
            # Before it is used, so that what is replayed is what was lived.
            response = masked_response(response, self._books.mask)
            record = self._record(question, response, site, key, started_at)
            entry = JournalEntry(record=record, response=response)
            await asyncio.to_thread(self._books.journal.append, site, entry)
            self._books.enter(record)
            return response
        finally:
            meter.release(reserved)

    async def _opened(self) -> "Client":
        async with self._opening:
            if self._client is None:
                self._client = await self._open_client()
            return self._client

    def _question(
        self, client: "Client", request: Request, site: CallSite, key: str
    ) -> "RetriedCall":
        # The SDK takes a second to import: not before the first live call.
        from grindstone.llm.asking import RetriedCall
        from grindstone.llm.wire import to_wire

        body = to_wire(request, self.model_id, conversation=site.role in _CONVERSATIONS)
        return RetriedCall(client, body, call_id=key, patience=self._books.patience)

    def _give_up(
        self, question: "RetriedCall", site: CallSite, key: str, started_at: datetime
    ) -> None:
        """Book what a call used that was given up or cancelled; it may be asked again."""
        if question.lost.total_tokens == 0:
            return
        # A name of its own: the same call may be given up twice, and then be answered.
        name = digest([key, GIVEN_UP, started_at.isoformat()])
        record = self._record(question, None, site, name, started_at)
        # On the loop: a cancelled task must not wait for a thread.
        self._books.journal.append(site, JournalEntry(record=record, response=None))
        self._books.enter(record)

    def _record(
        self,
        question: "RetriedCall",
        response: Response | None,
        site: CallSite,
        key: str,
        started_at: datetime,
    ) -> CallRecord:
        usage = response.usage if response is not None else Usage()
        used = usage + question.lost
        bill = self._books.price(self._resolved, used, rehearsal=question.rehearsal)
        return CallRecord(
            call_id=key,
            run_key=self._books.run_key,
            role=site.role,
            scope=site.scope,
            turn=site.turn,
            task_id=site.task_id,
            model=self.model_id,
            provider=self.provider.value,
            usage=usage,
            lost=question.lost,
            tries=question.tries,
            stop_reason=response.stop_reason if response is not None else GIVEN_UP,
            cost_usd=bill.usd,
            price_source=bill.source,
            rehearsal=self.rehearsal or question.rehearsal,
            started_at=started_at,
            duration_s=question.duration_s,
        )
