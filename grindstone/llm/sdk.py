"""Claude at Anthropic and behind the clouds' own doors, through Anthropic's SDK.

It takes over a second of processor time to import, so it is imported where it asks.
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import anthropic
import httpx2

from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.llm.asking import REHEARSAL_HEADER, Inquiry, StreamedAnswer
from grindstone.llm.faults import ServiceFault, described
from grindstone.llm.messages import Request
from grindstone.llm.providers import ADDRESSES, Provider, Resolved
from grindstone.llm.service import MESSAGES_PATH, Api, Service
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


def _of_extras() -> tuple[tuple[type[Exception], ...], tuple[type[Exception], ...]]:
    """Return what the libraries behind Bedrock and Vertex raise: on the wire, and refusing."""
    wire: list[type[Exception]] = []
    refusing: list[type[Exception]] = []
    with contextlib.suppress(ImportError):
        from botocore import eventstream, exceptions  # type: ignore[import-untyped]

        wire += [eventstream.ParserError, exceptions.HTTPClientError]
        refusing += [exceptions.BotoCoreError]
    with contextlib.suppress(ImportError):
        from google.auth import exceptions as google_exceptions

        wire += [google_exceptions.TransportError]
        refusing += [google_exceptions.GoogleAuthError]
    return tuple(wire), tuple(refusing)


_EXTRAS_WIRE, _EXTRAS_REFUSING = _of_extras()
_FAILURES: tuple[type[Exception], ...] = (
    anthropic.AnthropicError,
    *_EXTRAS_WIRE,
    *_EXTRAS_REFUSING,
)


class SdkAsker:
    """Asks through the SDK."""

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
        return Accumulator(len(json.dumps(self._body)))

    async def stream(self, answer: StreamedAnswer) -> None:
        try:
            await self._stream(answer)
        except anthropic.APIStatusError as failure:
            raise ServiceFault(
                failure.status_code, failure.type or "", failure.message, failure.response.headers
            ) from failure
        except _FAILURES as failure:
            raise InfrastructureError(_cause_of(failure), described(failure)) from failure

    async def _stream(self, answer: StreamedAnswer) -> None:
        stream = await self._client.messages.create(**self._body, stream=True)
        self.rehearsal = stream.response.headers.get(REHEARSAL_HEADER) == "true"
        async with stream:
            async for event in stream:
                answer.add(event.to_dict(mode="json"))


def _cause_of(failure: Exception) -> Cause:
    if isinstance(failure, anthropic.APIResponseValidationError):
        return Cause.MODEL_SERVER
    if isinstance(failure, (anthropic.APIConnectionError, *_EXTRAS_WIRE)):
        return Cause.MODEL_CONNECTION
    return Cause.MODEL_REJECTED  # credentials or the request itself


def open_sdk(
    resolved: Resolved,
    *,
    environ: Mapping[str, str],
    patience: Timeouts,
    region: str | None,
    service: Service | None,
) -> SdkAsker:
    """Return who asks a model; for a cloud it may look for credentials on the network.

    Args:
        resolved: The model.
        environ: Where credentials, regions and projects are looked for.
        patience: Time limits.
        region: Where a cloud runs the model.
        service: Anthropic's own, or what stands in its place.

    Raises:
        InputError: Credentials, a region or a project are missing; it names what to set.
    """
    common: dict[str, Any] = {
        "max_retries": 0,
        "timeout": httpx2.Timeout(patience.stall_s, connect=patience.connect_s),
    }
    if service is not None:
        return SdkAsker(_anthropic(service, common))
    make = _bedrock if resolved.provider is Provider.BEDROCK else _vertex
    return SdkAsker(make(resolved.model_id, environ, region, common))


def _anthropic(service: Service, common: dict[str, Any]) -> anthropic.AsyncAnthropic:
    token = service.headers.get("authorization", "").removeprefix("Bearer ") or None
    return anthropic.AsyncAnthropic(
        api_key=service.headers.get("x-api-key"),
        auth_token=token,
        base_url=service.urls[Api.MESSAGES].removesuffix(MESSAGES_PATH),
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
        base_url=environ.get(ADDRESSES[Provider.BEDROCK]) or None,
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
        base_url=environ.get(ADDRESSES[Provider.VERTEX]) or None,
        **common,
    )
