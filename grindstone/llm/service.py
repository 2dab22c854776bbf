"""A model's service as an agent's own program would speak to it: which APIs, where, with what."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from grindstone.errors import InputError
from grindstone.llm.providers import ADDRESSES, Provider, Resolved

MESSAGES_PATH = "/v1/messages"
ANTHROPIC_URL = "https://api.anthropic.com"
OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_VERSION = "2023-06-01"

NO_KEY = "none"
"""What a service that takes no key is given for one: clients insist on sending something."""


class Api(StrEnum):
    """What a request and its answer look like."""

    MESSAGES = "messages"  # Anthropic's
    CHAT = "chat"  # OpenAI's Chat Completions
    RESPONSES = "responses"  # OpenAI's Responses


class Service(NamedTuple):
    """Where a model answers."""

    model: str  # as the service calls it
    urls: Mapping[Api, str]  # of the APIs that it speaks
    headers: Mapping[str, str]  # the credentials among them: they never enter a sandbox
    direct: bool = False  # on this machine: no HTTP proxy of the host's is used

    def __repr__(self) -> str:
        """Show no credentials."""
        return f"Service({self.model!r}, {', '.join(self.urls)})"


def service_of(
    resolved: Resolved, environ: Mapping[str, str], *, rehearsal_url: str | None = None
) -> Service:
    """Return where a model answers to plain HTTP.

    Args:
        resolved: The model.
        environ: Where keys and addresses are looked for.
        rehearsal_url: The rehearsal server's.

    Raises:
        InputError: Its key is missing, or it wants requests signed as only its SDK does.
    """
    match resolved.provider:
        case Provider.REHEARSAL:
            url = (rehearsal_url or "").rstrip("/")
            urls = {Api.MESSAGES: f"{url}{MESSAGES_PATH}"} | _openai_urls(f"{url}/v1")
            return Service(resolved.name, urls, {"x-api-key": "rehearsal"}, direct=True)
        case Provider.ANTHROPIC | Provider.MESSAGES:
            url = resolved.base_url or environ.get(ADDRESSES[resolved.provider]) or ANTHROPIC_URL
            headers = {"anthropic-version": ANTHROPIC_VERSION, **_anthropic_key(resolved, environ)}
            return Service(
                resolved.name, {Api.MESSAGES: f"{url.rstrip('/')}{MESSAGES_PATH}"}, headers
            )
        case Provider.OPENAI:
            url = resolved.base_url or environ.get(ADDRESSES[resolved.provider]) or OPENAI_URL
            key = environ.get("OPENAI_API_KEY") or NO_KEY
            return Service(
                resolved.name,
                _openai_urls(url.rstrip("/")),
                {"authorization": f"Bearer {key}"},
            )
        case Provider.BEDROCK | Provider.VERTEX:
            raise InputError(
                f"model {resolved.model_id}",
                "is reached through its SDK alone, which a command agent's calls do not pass",
                "claude-…, messages:NAME@URL or openai:NAME@URL",
            )


def _openai_urls(base: str) -> dict[Api, str]:
    return {Api.CHAT: f"{base}/chat/completions", Api.RESPONSES: f"{base}/responses"}


def _anthropic_key(resolved: Resolved, environ: Mapping[str, str]) -> dict[str, str]:
    if key := environ.get("ANTHROPIC_API_KEY"):
        return {"x-api-key": key}
    if token := environ.get("ANTHROPIC_AUTH_TOKEN"):
        return {"authorization": f"Bearer {token}"}
    if resolved.provider is Provider.ANTHROPIC:
        raise InputError(
            f"model {resolved.model_id}",
            "no credentials for the Anthropic API were found",
            "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN in the environment",
        )
    return {"x-api-key": NO_KEY}
