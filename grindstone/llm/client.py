"""A model as the agents of this package know it, whoever answers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from grindstone.llm.budget import RequestSize
from grindstone.llm.calls import call_key
from grindstone.llm.messages import CallSite, Request, Response
from grindstone.llm.paying import CallAccounting, PaidCalls
from grindstone.llm.providers import Provider, Resolved
from grindstone.llm.service import Service
from grindstone.records import Role

if TYPE_CHECKING:
    from grindstone.llm.clients import Asker

_CONVERSATIONS = frozenset({Role.SOLVER, Role.EVOLVER})


class JournaledModel:
    """A `messages.Model` whose paid answers are in the run's journal."""

    def __init__(
        self,
        resolved: Resolved,
        books: CallAccounting,
        open_client: Callable[[], Awaitable["Asker"]],
        find_service: Callable[[], Awaitable[Service]],
    ) -> None:
        self.calls = PaidCalls(resolved, books)
        self._open_client = open_client
        self._find_service = find_service
        self._opening = asyncio.Lock()
        self._client: Asker | None = None

    @property
    def model_id(self) -> str:
        """The model's id; where `auto` was asked for, what it stands for."""
        return self.calls.resolved.model_id

    @property
    def provider(self) -> Provider:
        """Who answers."""
        return self.calls.resolved.provider

    @property
    def rehearsal(self) -> bool:
        """Whether the offline rehearsal server answers."""
        return self.calls.resolved.rehearsal

    async def service(self) -> Service:
        """Return where the model can be asked in its API's own words.

        Raises:
            InputError: Only the SDK reaches it.
        """
        return await self._find_service()

    async def complete(self, request: Request, site: CallSite) -> Response:
        """Return the model's answer, from the run's journal where it was paid before.

        A refusal is an answer (`stop_reason` is "refusal"), not an error.

        Raises:
            InfrastructureError: After the tries its policy allows.
            BudgetExceededError: Before the call, when a ceiling is reached.
            InputError: At the first call, when credentials, region or project are missing.
        """
        books = self.calls.books
        key = call_key(books.run_key, site, request, self.model_id)
        paid = await self.calls.recall(key, site)
        if paid is not None:
            return paid
        client = await self._opened()
        inquiry = client.inquiry(
            request, self.calls.resolved.name, conversation=site.role in _CONVERSATIONS
        )
        size = RequestSize(len(request.model_dump_json()), request.max_tokens)
        return await self.calls.pay(inquiry, site, key, size=size)

    async def _opened(self) -> "Asker":
        async with self._opening:
            if self._client is None:
                self._client = await self._open_client()
            return self._client
