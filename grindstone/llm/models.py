"""A run's models: opened once, sharing one journal, one meter and one budget."""

import asyncio
import contextlib
import importlib
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from grindstone.llm.budget import SharedCeilings, Spend, Spending, SpendMeter
from grindstone.llm.calls import CallRecord
from grindstone.llm.client import JournaledModel
from grindstone.llm.journal import Journal
from grindstone.llm.pace import Paces
from grindstone.llm.paying import CallAccounting, OnCall
from grindstone.llm.prices import PriceList, no_price
from grindstone.llm.providers import ADDRESSES, Provider, Resolved, resolve_model_id
from grindstone.llm.service import Service, service_of
from grindstone.llm.timeouts import Timeouts
from grindstone.masking import Mask
from grindstone.records import Usage

if TYPE_CHECKING:
    from grindstone.llm.clients import Asker


class Models:
    """What `open_models` gives. Belongs to the event loop it was opened in."""

    def __init__(
        self,
        books: CallAccounting,
        *,
        exits: contextlib.AsyncExitStack,
        environ: Mapping[str, str],
        rehearsal_url: str | None,
    ) -> None:
        self._books = books
        self._exits = exits
        self._environ = environ
        self._rehearsal_url = rehearsal_url or environ.get(ADDRESSES[Provider.REHEARSAL])
        self._starting = asyncio.Lock()
        self._models: dict[tuple[str, str | None], JournaledModel] = {}

    def resolve(self, choice: str) -> Resolved:
        """Return what a model id stands for; `reason` is the sentence that says why."""
        return resolve_model_id(choice, self._environ)

    def make_ready(self) -> None:
        """Begin to import what the first call needs, in a thread: it takes a second.

        A call that comes before waits for it; one that never comes has lost nothing.
        """
        threading.Thread(target=_import_client, name="model client", daemon=True).start()

    def get(self, model_id: str, region: str | None = None) -> JournaledModel:
        """Return a model; the same arguments give the same object.

        Nothing is contacted and no SDK is imported before its first call.

        Raises:
            InputError: The id is of no known form, its credentials are missing, or a
                ceiling in US dollars is set and its price is unknown.
        """
        resolved = self.resolve(model_id)
        key = (resolved.model_id, region)
        if key not in self._models:
            self._check_priced(resolved)

            async def open_client() -> "Asker":
                return await self._open_client(resolved, region)

            async def find_service() -> Service:
                return await self._service(resolved)

            self._models[key] = JournaledModel(resolved, self._books, open_client, find_service)
        return self._models[key]

    async def share_pace(self, model_id: str) -> None:
        """Have what limits how often a model is asked be there for all who share it.

        Raises:
            InfrastructureError: Who keeps it cannot be used.
        """
        pace = self._books.paces.of(self.resolve(model_id).model_id)
        if pace is not None:
            await pace.make()

    @property
    def mask(self) -> Mask:
        """What replaces the keys that this run knows of in whatever it records."""
        return self._books.mask

    def spent(self) -> Spend:
        """Return what the run used so far, in this process and before it was resumed."""
        return self._books.meter.spent()

    def count_elsewhere(self, usage: Usage, cost_usd: float | None) -> None:
        """Count in `spent` what other machines have used, where their calls are not known yet."""
        self._books.meter.count_elsewhere(usage, cost_usd)

    def _check_priced(self, resolved: Resolved) -> None:
        if not self._books.meter.capped_in_money or resolved.rehearsal:
            return
        if self._books.price(resolved, Usage(input_tokens=1)).usd is None:
            raise no_price(resolved.model_id)

    async def _open_client(self, resolved: Resolved, region: str | None) -> "Asker":
        # The SDK and the price tables take a second each to import: off the loop.
        await asyncio.to_thread(_import_client)
        await asyncio.to_thread(self._books.price, resolved, Usage())
        from grindstone.llm.clients import open_client

        at_an_address = resolved.provider not in (Provider.BEDROCK, Provider.VERTEX)
        client = await open_client(
            resolved,
            environ=self._environ,
            patience=self._books.patience,
            region=region,
            service=await self._service(resolved) if at_an_address else None,
        )
        return await self._exits.enter_async_context(client)

    async def _service(self, resolved: Resolved) -> Service:
        url = await self._rehearsal() if resolved.rehearsal else None
        return service_of(resolved, self._environ, rehearsal_url=url)

    async def _rehearsal(self) -> str:
        """Return the rehearsal server's URL, starting one in this process if there is none."""
        async with self._starting:
            if self._rehearsal_url is None:
                from grindstone import rehearsal

                self._rehearsal_url = await self._exits.enter_async_context(rehearsal.serve())
            return self._rehearsal_url


def _import_client() -> None:
    importlib.import_module("grindstone.llm.clients")


@contextlib.asynccontextmanager
async def open_models(
    *,
    run_key: str,
    journal_dir: Path,
    spending: Spending = Spending(),
    on_call: OnCall | None = None,
    rehearsal_url: str | None = None,
    environ: Mapping[str, str] | None = None,
    patience: Timeouts | None = None,
    spent_before: Iterable[CallRecord] = (),
    mask: Mask | None = None,
    ceilings: Callable[[], Awaitable[Spending]] | None = None,
    shared: SharedCeilings | None = None,
    paces: Paces | None = None,
) -> AsyncIterator[Models]:
    """Open a run's models, for the event loop this is called in.

    What the run's journal holds already counts as spent, so the ceilings and `spent()`
    are those of the whole run, however often it was resumed. Several processes may share
    a journal; under a ceiling each looks before a call at what the others have spent, and a
    ceiling is passed by what is in flight elsewhere at most. With `shared` it is not.

    Args:
        run_key: The run; part of every call's identity.
        journal_dir: The run's own folder for paid answers; made when needed.
        spending: Ceilings, in US dollars and in tokens with the cached ones, and the
            Anthropic model at whose prices a rehearsal's tokens count; else they cost nothing.
        on_call: Told each call once per process, replayed ones too; must not block.
        rehearsal_url: A rehearsal server that runs already; without it, the one that
            GRINDSTONE_REHEARSAL_URL names, and without that, one is started in this process
            when the rehearsal model is first called.
        environ: Where credentials and base URLs are read; `os.environ` as a rule.
        patience: Time limits and pauses; without it, as GRINDSTONE_PATIENCE says.
        spent_before: Calls of the run that the journal may lack, from the ledger, say,
            when other machines took part; calls it has are not counted twice.
        mask: Replaces known keys in answers; by default those of `environ`.
        ceilings: Asked before each call for the ceilings of the moment; without it they stay
            those of `spending`.
        shared: Keeps the ceilings together with the run's other processes.
        paces: How often each model may be asked; without it, as often as one likes.
    """
    environ = dict(os.environ if environ is None else environ)
    journal = Journal(journal_dir)
    meter = SpendMeter(spending)
    for record in await asyncio.to_thread(journal.news):
        meter.seed(record)
    for record in spent_before:
        meter.seed(record)
    books = CallAccounting(
        run_key=run_key,
        journal=journal,
        meter=meter,
        patience=patience or Timeouts.of_environment(environ),
        price_as=spending.rehearsal_price_as,
        on_call=on_call,
        mask=mask or Mask.of(environ),
        own_prices=PriceList.of_environment(environ),
        ceilings=ceilings,
        shared=shared,
        paces=paces or Paces(),
    )
    async with contextlib.AsyncExitStack() as exits:
        yield Models(
            books,
            exits=exits,
            environ=environ,
            rehearsal_url=rehearsal_url,
        )
