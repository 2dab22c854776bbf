"""Who asks each provider: the SDK's client, or plain HTTP; our own retries are the only ones."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeAlias

import anthropic
import httpx2

from grindstone.errors import InputError
from grindstone.llm.asking import REHEARSAL_HEADER, Inquiry, StreamedAnswer
from grindstone.llm.chat import ChatAsker
from grindstone.llm.messages import Request
from grindstone.llm.providers import Provider, Resolved
from grindstone.llm.service import MESSAGES_PATH, NO_KEY, Api, Service
from grindstone.llm.timeouts import Timeouts
from grindstone.llm.wire import Accumulator, to_wire

Client: TypeAlias = (
    anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex
)

_AWS_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_BEARER_TOKEN_BEDROCK "
    "or a role of this machine"
)
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


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


class SdkAsker:
    """Asks through Anthropic's SDK."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the SDK's client."""
        await self._client.close()

    def inquiry(self, request: Request, model: str, *, conversation: bool) -> Inquiry:
        """Return a request in the SDK's terms."""
        return _SdkInquiry(self._client, to_wire(request, model, conversation=conversation))


class _SdkInquiry:
    def __init__(self, client: Client, body: dict[str, Any]) -> None:
        self._client = client
        self._body = body
        self.rehearsal = False

    def begin(self) -> StreamedAnswer:
        return Accumulator()

    async def stream(self, answer: StreamedAnswer) -> None:
        stream = await self._client.messages.create(**self._body, stream=True)
        self.rehearsal = stream.response.headers.get(REHEARSAL_HEADER) == "true"
        async with stream:
            async for event in stream:
                answer.add(event.to_dict(mode="json"))


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
    common: dict[str, Any] = {
        "max_retries": 0,
        "timeout": httpx2.Timeout(patience.stall_s, connect=patience.connect_s),
    }
    model_id, region = resolved.model_id, resolved.region or region
    match resolved.provider:
        case Provider.OPENAI:
            assert service is not None
            return ChatAsker(service, patience)
        case Provider.REHEARSAL | Provider.ANTHROPIC | Provider.MESSAGES:
            assert service is not None
            return SdkAsker(_anthropic(service, common))
        case Provider.BEDROCK:
            client = await asyncio.to_thread(_bedrock, model_id, environ, region, common)
            return SdkAsker(client)
        case Provider.VERTEX:
            return SdkAsker(await asyncio.to_thread(_vertex, model_id, environ, region, common))


def _anthropic(service: Service, common: dict[str, Any]) -> anthropic.AsyncAnthropic:
    token = service.headers.get("authorization", "").removeprefix("Bearer ") or None
    key = service.headers.get("x-api-key") or (None if token else NO_KEY)
    # Our own server must never be sent the user's key, and is behind no proxy.
    client = anthropic.DefaultAsyncHttpxClient(trust_env=False) if service.direct else None
    return anthropic.AsyncAnthropic(
        api_key=key,
        auth_token=token,
        base_url=service.urls[Api.MESSAGES].removesuffix(MESSAGES_PATH),
        http_client=client,
        **common,
    )


def _bedrock(
    model_id: str, environ: Mapping[str, str], region: str | None, common: dict[str, Any]
) -> anthropic.AsyncAnthropicBedrock:
    try:
        import boto3  # type: ignore[import-untyped]
        import botocore.exceptions  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError(
            f"model {model_id}", "boto3 is not installed", "pip install 'grindstone[bedrock]'"
        ) from error
    access_key = environ.get("AWS_ACCESS_KEY_ID") or None
    secret_key = environ.get("AWS_SECRET_ACCESS_KEY") or None
    session_token = environ.get("AWS_SESSION_TOKEN") or None
    profile = environ.get("AWS_PROFILE") or None
    if (access_key is None) != (secret_key is None):
        raise InputError(f"model {model_id}", "half an AWS key pair was found", _AWS_CREDENTIALS)
    try:
        session = boto3.Session(
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=session_token,
            profile_name=profile,
        )
        token = environ.get("AWS_BEARER_TOKEN_BEDROCK") or None
        found = token is not None or session.get_credentials() is not None
    except botocore.exceptions.BotoCoreError as error:
        raise InputError(f"model {model_id}", str(error), _AWS_CREDENTIALS) from error
    if not found:
        raise InputError(f"model {model_id}", "no AWS credentials were found", _AWS_CREDENTIALS)
    region = (
        region
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or session.region_name
    )
    if not region:
        raise InputError(
            f"model {model_id}", "no AWS region is known", "--region, AWS_REGION or a profile's"
        )
    signing: dict[str, str | None] = {
        "aws_access_key": access_key,
        "aws_secret_key": secret_key,
        "aws_session_token": session_token,
        "aws_profile": profile,
    }
    return anthropic.AsyncAnthropicBedrock(
        **({"api_key": token} if token else signing),
        aws_region=region,
        base_url=environ.get("ANTHROPIC_BEDROCK_BASE_URL") or None,
        **common,
    )


def _vertex(
    model_id: str, environ: Mapping[str, str], region: str | None, common: dict[str, Any]
) -> anthropic.AsyncAnthropicVertex:
    try:
        import google.auth
        import google.auth.exceptions
    except ImportError as error:
        raise InputError(
            f"model {model_id}", "google-auth is not installed", "pip install 'grindstone[vertex]'"
        ) from error
    try:
        # The library reads GOOGLE_APPLICATION_CREDENTIALS from the process's own environment.
        credentials, project = google.auth.default(scopes=[_GOOGLE_SCOPE])
    except google.auth.exceptions.GoogleAuthError as error:
        raise InputError(
            f"model {model_id}",
            f"no Google credentials were found ({type(error).__name__})",
            "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
        ) from error
    project = (
        environ.get("ANTHROPIC_VERTEX_PROJECT_ID") or environ.get("GOOGLE_CLOUD_PROJECT") or project
    )
    if not project:
        raise InputError(
            f"model {model_id}", "no Google project is known", "ANTHROPIC_VERTEX_PROJECT_ID"
        )
    return anthropic.AsyncAnthropicVertex(
        project_id=project,
        region=region or environ.get("CLOUD_ML_REGION") or "global",
        credentials=credentials,
        base_url=environ.get("ANTHROPIC_VERTEX_BASE_URL") or None,
        **common,
    )
