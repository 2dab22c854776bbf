"""The SDK's client for each provider; our own retries are the only ones."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

import anthropic
import httpx2

from grindstone.errors import InputError
from grindstone.llm.providers import Provider, region_of_arn
from grindstone.llm.timeouts import Timeouts

Client: TypeAlias = (
    anthropic.AsyncAnthropic | anthropic.AsyncAnthropicBedrock | anthropic.AsyncAnthropicVertex
)

_AWS_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, AWS_BEARER_TOKEN_BEDROCK "
    "or a role of this machine"
)
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


async def open_client(
    provider: Provider,
    model_id: str,
    *,
    environ: Mapping[str, str],
    patience: Timeouts,
    region: str | None = None,
    rehearsal_url: str | None = None,
) -> Client:
    """Return a client that is ready to be asked; close it when done.

    Raises:
        InputError: Credentials, a region or a project are missing; it names what to set.
    """
    common: dict[str, Any] = {
        "max_retries": 0,
        "timeout": httpx2.Timeout(patience.stall_s, connect=patience.connect_s),
    }
    match provider:
        case Provider.REHEARSAL:
            # Our own server needs no key, must never be sent the user's, and is behind no proxy.
            return anthropic.AsyncAnthropic(
                api_key="rehearsal",
                base_url=rehearsal_url,
                http_client=anthropic.DefaultAsyncHttpxClient(trust_env=False),
                **common,
            )
        case Provider.ANTHROPIC:
            return _anthropic(model_id, environ, common)
        case Provider.BEDROCK:
            return await asyncio.to_thread(_bedrock, model_id, environ, region, common)
        case Provider.VERTEX:
            return await asyncio.to_thread(_vertex, model_id, environ, region, common)


def _anthropic(
    model_id: str, environ: Mapping[str, str], common: dict[str, Any]
) -> anthropic.AsyncAnthropic:
    api_key = environ.get("ANTHROPIC_API_KEY") or None
    auth_token = environ.get("ANTHROPIC_AUTH_TOKEN") or None
    if api_key is None and auth_token is None:
        raise InputError(
            f"model {model_id}",
            "no credentials for the Anthropic API were found",
            "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN in the environment",
        )
    return anthropic.AsyncAnthropic(
        api_key=api_key,
        auth_token=None if api_key else auth_token,
        base_url=environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com",
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
        or region_of_arn(model_id)
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
