"""What a program may not have its model's service do for it.

A sandbox without a network has none by way of the service either: no search, no fetching of
addresses, no machine of the service's, no conversation or file that the service keeps. And nothing
goes at another price than the one that is booked.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from grindstone.proxy.api import BadBody, Body

LEFT_OUT = frozenset(
    {
        *("models", "route", "provider", "plugins", "transforms", "fallbacks"),  # a router's
        *("web_search_options", "mcp_servers", "container", "background"),
        *("service_tier", "speed", "inference_geo"),  # another price
    }
)
"""Of a request, without a word: programs send some of them as a matter of course."""

REFUSED = ("previous_response_id", "conversation", "prompt", "prompt_id")
"""What the service would add to the request is in none of its bytes."""

SERVICES_TOOLS = (
    *("web_search", "web_fetch", "file_search", "code_interpreter", "code_execution"),
    *("image_generation", "mcp", "openrouter:", "google_search", "url_context", "x_search"),
    *("live_search", "browser_search", "advisor"),
)
"""How the types of tools begin that the service runs itself; they are left out."""

PICTURE_BYTES = 15_000
"""What a picture is reckoned as at most: about 5,000 tokens, more than a service takes one for."""

_KEPT_THERE = ("file_id", "file_url")

_PASSED_ON = ("anthropic-beta", "openai-beta")
_DEAR = ("context-1m", "fast-mode")
"""How the names of features begin that have a price of their own."""


def kept_inside(body: Body) -> Body:
    """Return a request without what reaches further than the sandbox.

    Raises:
        BadBody: Without it the request would be another one.
    """
    for name in REFUSED:
        if body.get(name):
            raise BadBody(f"{name} is not taken: send the whole conversation")
    if body.get("n") not in (None, 1):
        raise BadBody("n is not taken: ask once for each answer")
    for part in _parts(body):
        _require_whole(part)
    _keep_no_longer(body)
    left = {name: value for name, value in body.items() if name not in LEFT_OUT}
    tools = left.get("tools")
    if isinstance(tools, list):
        left["tools"] = [tool for tool in tools if not _services(tool)]
        if not left["tools"]:
            del left["tools"]
            left.pop("tool_choice", None)
    return left


def told_beside(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the service is told of a request's headers: features, but for dear ones."""
    told = {}
    for name in _PASSED_ON:
        given = (each.strip() for each in headers.get(name, "").split(","))
        if kept := ",".join(each for each in given if each and not each.startswith(_DEAR)):
            told[name] = kept
    return told


def _keep_no_longer(body: Body) -> None:
    """Have nothing kept for longer than usual, at its price: the request is changed."""
    waiting: list[Any] = [body]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            keeping = found.get("cache_control")
            if isinstance(keeping, dict) and keeping.get("type") == "ephemeral":
                keeping.pop("ttl", None)
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def reckoned_bytes(body: Body, content: int) -> int:
    """Return the bytes by which a request's tokens are guessed: large pictures have no more.

    Args:
        body: The request.
        content: Its bytes as JSON.
    """
    return content - sum(max(0, _picture(part) - PICTURE_BYTES) for part in _parts(body))


def _picture(part: Mapping[str, Any]) -> int:
    """Return the characters of a picture that a block holds; 0 where it holds none."""
    image, source = part.get("image_url"), part.get("source")
    data = image.get("url") if isinstance(image, dict) else image
    if part.get("type") == "image" and isinstance(source, dict):
        data = source.get("data")
    return len(data) if isinstance(data, str) else 0


def _services(tool: Any) -> bool:
    if not isinstance(tool, dict):
        return False
    kind, place = tool.get("type"), tool.get("environment")
    elsewhere = isinstance(place, dict) and place.get("type") != "local"
    return isinstance(kind, str) and (kind.startswith(SERVICES_TOOLS) or elsewhere)


def _parts(body: Body) -> Iterator[Mapping[str, Any]]:
    """Yield the blocks of a conversation's turns, and those inside tools' results."""
    waiting: list[Any] = [body.get("messages"), body.get("input"), body.get("system")]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list):
            waiting += found
        elif isinstance(found, dict):
            yield found
            waiting += [found.get("content"), found.get("output")]


def _require_whole(part: Mapping[str, Any]) -> None:
    """Make sure that what a block shows is in it.

    Raises:
        BadBody: It is named by an address, or by an id of the service's.
    """
    image, source = part.get("image_url"), part.get("source")
    address = image.get("url") if isinstance(image, dict) else image
    named = [name for name in _KEPT_THERE if part.get(name)]
    if part.get("type") == "item_reference":
        named.append("item_reference")
    if isinstance(source, dict) and source.get("type") in ("url", "file"):
        named.append(f"source of type {source['type']}")
    if isinstance(address, str) and not address.startswith("data:"):
        named.append("image_url with an address")
    file = part.get("file")
    if isinstance(file, dict) and file.get("file_id"):
        named.append("file_id")
    if named:
        raise BadBody(f"{named[0]} is not taken: send the content itself")
