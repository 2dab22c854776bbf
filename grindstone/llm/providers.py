"""Which service answers for a model id; nothing is contacted and no SDK is imported.

| id                                                  | provider  |
|-----------------------------------------------------|-----------|
| `claude-…`                                          | Anthropic |
| `anthropic.…`, `us.anthropic.…` (any region), ARNs  | Bedrock   |
| `claude-…@…`                                        | Vertex    |
| either of the two with `@REGION` behind it          | the same, in that region |
| `openai:NAME`, `openai:NAME@URL`                    | whoever speaks OpenAI's APIs |
| `messages:NAME`, `messages:NAME@URL`                | whoever speaks the Messages API |
| `rehearsal`                                         | the offline rehearsal server |
| `auto`                                              | the first of these with credentials |
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import WithJsonSchema

from grindstone.base import Frozen
from grindstone.errors import InputError

REHEARSAL = "rehearsal"
AUTO = "auto"

_REGION = r"(?:@(?P<region>[a-z]+(?:-[a-z]+)*-?\d+|global))?"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s@/?#:\[\]\\]+)(?::\d{1,5})?"
_PATH = r"(?:/[^\s@?#\\]*)?"
_ADDRESS = re.compile(rf"^https?://(?:[^\s@/]*@)?{_HOST}{_PATH}$")
_BEDROCK = re.compile(
    rf"^(?P<name>(?:[a-z]{{2,8}}(?:-[a-z]+)?\.)?anthropic\.[a-z0-9][^\s@]*){_REGION}$"
)
_BEDROCK_ARN = re.compile(r"^arn:aws[a-z-]*:bedrock:(?P<region>[a-z0-9-]+):\S+$")
_VERTEX = re.compile(rf"^(?P<name>claude-[a-z0-9.-]+@[a-z0-9-]+){_REGION}$")
_ANTHROPIC = re.compile(r"^claude-[a-z0-9.-]+$")
_NAMED = re.compile(
    r"^(?P<kind>openai|messages):(?P<name>[^\s@]+(?:@[^\s@:/]+)*)"
    rf"(?:@(?P<url>https?://{_HOST}{_PATH}))?$"
)
KNOWN_FORMS = (
    r"^(auto|rehearsal|claude-\S+|\S*anthropic\.\S+|arn:aws\S+|"
    r"(openai|messages):[^\s@]+(@[^\s@:/]+)*(@https?://[^\s@]+)?)$"
)
"""About the same for a form, which shows it to a person who gave something else."""
_KNOWN = (
    "claude-… (Anthropic), us.anthropic.… or an ARN (Bedrock), claude-…@… (Vertex), "
    "openai:NAME or messages:NAME with @URL (http://… or https://…) for another address, "
    "rehearsal (offline) or auto"
)
_REHEARSED = (
    "It can do tasks like the bundled ones (tables of old systems, rotated logs, work lost in git, "
    "Python 2 builds) and no others."
)
_ANTHROPIC_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_AWS_KEYS = (
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SHARED_CREDENTIALS_FILE",
)


class Provider(StrEnum):
    """Who answers."""

    ANTHROPIC = "anthropic"
    BEDROCK = "bedrock"
    VERTEX = "vertex"
    OPENAI = "openai"
    MESSAGES = "messages"
    REHEARSAL = "rehearsal"


DEFAULT_MODELS: Mapping[Provider, str] = {
    Provider.ANTHROPIC: "claude-opus-5-5",
    Provider.BEDROCK: "global.anthropic.claude-opus-5-5",
    Provider.VERTEX: "claude-opus-5-5@default",
}
"""What `auto` stands for, by the credentials found; tried in this order."""


class Resolved(Frozen):
    """A model id with the provider that answers for it."""

    model_id: str
    provider: Provider
    reason: str
    """One sentence for the first line of a run: which model, and why."""

    @property
    def rehearsal(self) -> bool:
        """Whether the offline rehearsal server answers."""
        return self.provider is Provider.REHEARSAL

    @property
    def name(self) -> str:
        """What the service calls the model."""
        forms = (_NAMED, _BEDROCK, _VERTEX)
        found = next(filter(None, (form.match(self.model_id) for form in forms)), None)
        return found["name"] if found else self.model_id

    @property
    def region(self) -> str | None:
        """The cloud region that the id gives, None where the run's is meant."""
        found = _BEDROCK.match(self.model_id) or _VERTEX.match(self.model_id)
        return found["region"] if found else region_of_arn(self.model_id)

    @property
    def base_url(self) -> str | None:
        """The address that the id gives, None where the environment's is meant."""
        found = _NAMED.match(self.model_id)
        return found["url"].rstrip("/") if found and found["url"] else None


def resolve_model_id(choice: str, environ: Mapping[str, str]) -> Resolved:
    """Return the model and provider that a user's choice stands for.

    Args:
        choice: A model id, `rehearsal` or `auto`.
        environ: Where credentials are looked for; `os.environ` as a rule.

    Raises:
        InputError: The id is of no known form, its provider has no credentials, or the variable
            that says where it answers names no address.
    """
    resolved = _resolve(choice, environ)
    if resolved.base_url is None:
        _check_address(ADDRESSES[resolved.provider], environ)
    return resolved


def _check_address(variable: str, environ: Mapping[str, str]) -> None:
    given = environ.get(variable)
    if given and not _is_address(given):
        problem = "is no address" if "@" in given else f"is {given!r}"  # a password is not shown
        raise InputError(variable, problem, "an address such as http://HOST:PORT or https://HOST")


def _is_address(given: str) -> bool:
    if not _ADDRESS.fullmatch(given):
        return False
    try:
        return urlsplit(given).port != 0
    except ValueError:  # a port above 65535, or what stands in brackets is no address
        return False


def _resolve(choice: str, environ: Mapping[str, str]) -> Resolved:
    if choice == REHEARSAL:
        reason = f"The model is the offline rehearsal server, as asked: no real model. {_REHEARSED}"
        return Resolved(model_id=REHEARSAL, provider=Provider.REHEARSAL, reason=reason)
    if choice == AUTO:
        return _best(environ)
    provider = provider_of(choice)
    if provider in _SERVED:
        return _served(choice, provider, environ)
    found = _credentials(provider, environ)
    if found is None and provider is Provider.ANTHROPIC:
        raise InputError(
            f"model {choice}",
            "no credentials for the Anthropic API were found",
            f"{' or '.join(_ANTHROPIC_KEYS)} in the environment, or the model id rehearsal",
        )
    # Bedrock and Vertex may hold theirs in a machine's role; they are asked for at the first call.
    because = f" ({found})" if found else ""
    return Resolved(
        model_id=choice,
        provider=provider,
        reason=f"The model is {choice} at {_NAMES[provider]}{because}, as asked.",
    )


def provider_of(model_id: str) -> Provider:
    """Return the provider a model id belongs to by its form.

    Raises:
        InputError: The id is of no known form.
    """
    if model_id == REHEARSAL:
        return Provider.REHEARSAL
    if found := _NAMED.fullmatch(model_id):
        if found["url"] is None or _is_address(found["url"]):
            return Provider(found["kind"])
    elif _BEDROCK_ARN.fullmatch(model_id) or _BEDROCK.fullmatch(model_id):
        return Provider.BEDROCK
    elif _VERTEX.fullmatch(model_id):
        return Provider.VERTEX
    elif _ANTHROPIC.fullmatch(model_id):
        return Provider.ANTHROPIC
    raise InputError(f"model {model_id!r}", "is of no known form", _KNOWN)


def check_form(where: str, model_id: str) -> None:
    """Look whether a model's id can be one; `auto` is.

    Args:
        where: What it was given as.
        model_id: The id.

    Raises:
        InputError: It is of no known form.
    """
    if model_id != AUTO:
        try:
            provider_of(model_id)
        except InputError as error:
            raise InputError(where, f"{model_id!r} {error.problem}", error.expected) from error


ModelId = Annotated[str, WithJsonSchema({"type": "string", "pattern": KNOWN_FORMS})]
"""A model's id in settings: a form refuses one of no known form, and so does the server."""


def region_of_arn(model_id: str) -> str | None:
    """Return the region a Bedrock ARN names, or None where the id is no ARN."""
    match = _BEDROCK_ARN.match(model_id)
    return match["region"] if match else None


def _served(choice: str, provider: Provider, environ: Mapping[str, str]) -> Resolved:
    """Return a model of a service that is known by its address; local ones take no key.

    Raises:
        InputError: No address is known, or OpenAI's own is meant and there is no key.
    """
    resolved = Resolved(model_id=choice, provider=provider, reason="")
    variable, keys = ADDRESSES[provider], _SERVED[provider]
    url = resolved.base_url or environ.get(variable)
    if url is None and (provider is Provider.MESSAGES or not _first(keys, environ)):
        needed = f"{choice}@https://… or {variable} in the environment"
        if provider is Provider.OPENAI:
            needed = f"{needed}, or {keys[0]} for OpenAI's own"
        raise InputError(f"model {choice}", "no address of a service is known", needed)
    where = f"at {url}" if url else f"at {_NAMES[provider]}"
    reason = f"The model is {resolved.name} {where}, as asked."
    return resolved.model_copy(update={"reason": reason})


ADDRESSES: Mapping[Provider, str] = {
    Provider.ANTHROPIC: "ANTHROPIC_BASE_URL",
    Provider.MESSAGES: "ANTHROPIC_BASE_URL",
    Provider.BEDROCK: "ANTHROPIC_BEDROCK_BASE_URL",
    Provider.VERTEX: "ANTHROPIC_VERTEX_BASE_URL",
    Provider.OPENAI: "OPENAI_BASE_URL",
    Provider.REHEARSAL: "GRINDSTONE_REHEARSAL_URL",
}
"""The variable that says where a provider answers, for an id that does not say so; for the
rehearsal it names a server that runs already, as `grindstone rehearsal` starts one."""

_SERVED: Mapping[Provider, tuple[str, ...]] = {
    Provider.OPENAI: ("OPENAI_API_KEY",),
    Provider.MESSAGES: _ANTHROPIC_KEYS,
}

_NAMES: Mapping[Provider, str] = {
    Provider.ANTHROPIC: "the Anthropic API",
    Provider.BEDROCK: "Amazon Bedrock",
    Provider.VERTEX: "Google Vertex AI",
    Provider.OPENAI: "the OpenAI API",
    Provider.MESSAGES: "a service that speaks the Messages API",
}


def _best(environ: Mapping[str, str]) -> Resolved:
    for provider, model_id in DEFAULT_MODELS.items():
        found = _credentials(provider, environ)
        if found is not None:
            reason = f"The model is {model_id} at {_NAMES[provider]}: {found} was found."
            return Resolved(model_id=model_id, provider=provider, reason=reason)
    reason = (
        "No model credentials were found, so this is a rehearsal: the offline rehearsal server "
        f"answers. {_REHEARSED} Set ANTHROPIC_API_KEY to use a real model."
    )
    return Resolved(model_id=REHEARSAL, provider=Provider.REHEARSAL, reason=reason)


def _credentials(provider: Provider, environ: Mapping[str, str]) -> str | None:
    """Return the name of what would authenticate, never its value."""
    if provider is Provider.ANTHROPIC:
        return _first(_ANTHROPIC_KEYS, environ)
    if provider is Provider.BEDROCK:
        home = environ.get("HOME")
        if name := _first(_AWS_KEYS, environ):
            return name
        return "~/.aws/credentials" if _exists(home, ".aws/credentials") else None
    if not (environ.get("ANTHROPIC_VERTEX_PROJECT_ID") or environ.get("GOOGLE_CLOUD_PROJECT")):
        return None
    if environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return "GOOGLE_APPLICATION_CREDENTIALS"
    adc = ".config/gcloud/application_default_credentials.json"
    return f"~/{adc}" if _exists(environ.get("HOME"), adc) else None


def _first(names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    return next((name for name in names if environ.get(name)), None)


def _exists(home: str | None, relative: str) -> bool:
    return bool(home) and (Path(home or "") / relative).is_file()
