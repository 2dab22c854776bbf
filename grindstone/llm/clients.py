"""Who asks each provider: Anthropic's SDK its own service and the clouds, plain HTTP the others.

The SDK takes over a second of processor time to load, which a rehearsal does not wait for. The
only retries are our own.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Protocol, Self

from grindstone.llm.asking import Inquiry
from grindstone.llm.chat import ChatAsker
from grindstone.llm.messages import Request
from grindstone.llm.providers import Provider, Resolved
from grindstone.llm.service import ANTHROPIC_VERSION, Api, Service
from grindstone.llm.sse import HttpInquiry, http_client
from grindstone.llm.timeouts import Timeouts
from grindstone.llm.wire import Accumulator, to_wire


class Asker(Protocol):
    """An open connection to a service; use it as a context manager, to close it when done."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        ...

    def inquiry(self, request: Request, model: str, *, conversation: bool) -> Inquiry:
        """Return a request as the service's API words it.

        Args:
            request: What to ask.
            model: The service's name of the model.
            conversation: More turns are to follow, so the last ones are worth caching.
        """
        ...


class MessagesAsker:
    """Asks a service that speaks the Messages API."""

    def __init__(self, service: Service, patience: Timeouts) -> None:
        self._client = http_client(service, patience)
        self._client.headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
        if key := self._client.headers.pop("x-api-key", None):
            # As the SDK sends it: some services that speak this API know no other way.
            self._client.headers["authorization"] = f"Bearer {key}"
        self._url = service.urls[Api.MESSAGES]

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close its connections."""
        await self._client.aclose()

    def inquiry(self, request: Request, model: str, *, conversation: bool) -> Inquiry:
        """Return a request in the API's words."""
        body = to_wire(request, model, conversation=conversation) | {"stream": True}
        content = json.dumps(body).encode()
        return HttpInquiry(self._client, self._url, content, lambda: Accumulator(len(content)))


async def open_client(
    resolved: Resolved,
    *,
    environ: Mapping[str, str],
    patience: Timeouts,
    region: str | None = None,
    service: Service | None = None,
) -> Asker:
    """Return who asks a provider; close it when done.

    Args:
        resolved: The model.
        environ: Where credentials, regions and projects are looked for.
        patience: Time limits.
        region: Of Bedrock and Vertex.
        service: Where it answers, for those that are asked at an address.

    Raises:
        InputError: Credentials, a region or a project are missing; it names what to set.
    """
    match resolved.provider:
        case Provider.OPENAI:
            assert service is not None
            return ChatAsker(service, patience)
        case Provider.REHEARSAL | Provider.MESSAGES:
            assert service is not None
            return MessagesAsker(service, patience)
        case Provider.ANTHROPIC | Provider.BEDROCK | Provider.VERTEX:
            from grindstone.llm.sdk import open_sdk

            return await asyncio.to_thread(
                open_sdk,
                resolved,
                environ=environ,
                patience=patience,
                region=resolved.region or region,
                service=service,
            )
