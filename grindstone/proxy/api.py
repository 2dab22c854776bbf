"""What the proxy must know of an API: how it words requests, answers, streams and errors."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic import JsonValue

from grindstone.llm.asking import StreamedAnswer
from grindstone.llm.messages import Opaque, Response
from grindstone.llm.service import Api
from grindstone.records import ToolCall

Body = dict[str, Any]
"""A request or an answer as JSON."""

PIECE = 8_192
"""Characters of a streamed piece of text."""


class BadBody(Exception):  # noqa: N818 - answered with status 400
    """A request that is none of the API's."""


class Said(NamedTuple):
    """What an answer says, whatever API it came through."""

    text: str
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()


class Heard(NamedTuple):
    """What a tool gave, as the agent's program told the model."""

    call_id: str
    content: str
    is_error: bool = False


class FirstWords(NamedTuple):
    """What a conversation began with."""

    system: str
    user: str


class ProxiedApi(Protocol):
    """One API."""

    api: Api

    def streamed(self, prompt_bytes: int) -> StreamedAnswer:
        """Return what adds up a streamed answer; its response holds the API's body (`whole`)."""
        ...

    def outgoing(self, body: Body) -> Body:
        """Return a request as the service is asked it: always as a stream."""
        ...

    def identity(self, body: Body) -> JsonValue:
        """Return what takes part in a request's identity; see `identity`."""
        ...

    def most_tokens(self, body: Body) -> int | None:
        """Return what the answer may use at most, None where the request does not say."""
        ...

    def opening(self, body: Body) -> FirstWords:
        """Return what the conversation began with."""
        ...

    def heard(self, body: Body) -> Sequence[Heard]:
        """Return what tools gave, by the request."""
        ...

    def said(self, answer: Body) -> Said:
        """Return what an answer says."""
        ...

    def events(self, answer: Body, asked: Body) -> Iterator[bytes]:
        """Yield an answer as the stream of events it would have come as; `asked` is the request."""
        ...

    def error(self, kind: str, message: str) -> Body:
        """Return an error's body."""
        ...

    def error_events(self, kind: str, message: str) -> Iterator[bytes]:
        """Yield an error inside a stream that has begun."""
        ...


def whole(answer: Response) -> Body:
    """Return the API's body of a proxied answer, as the journal holds it."""
    block = answer.content[0]
    assert isinstance(block, Opaque)
    return dict(block.data)


def held(body: Body, *, stop_reason: str, usage: Any, model: str) -> Response:
    """Return a body as the journal holds it: a block this code hands back unchanged."""
    return Response(content=(Opaque(data=body),), stop_reason=stop_reason, usage=usage, model=model)


def sse(data: Mapping[str, Any], event: str = "") -> bytes:
    """Return one server-sent event."""
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces; one even of an empty text."""
    for start in range(0, max(1, len(text)), PIECE):
        yield text[start : start + PIECE]


def listed(value: Any) -> list[dict[str, Any]]:
    """Return the objects of what should be a list of them.

    Raises:
        BadBody: It is none.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadBody("expected a list of objects")
    return value


def positive(given: Any) -> int | None:
    """Return a limit that a request names; None where it names none that is a number."""
    return given if isinstance(given, int) and given > 0 else None


def names(found: Iterable[Any]) -> list[JsonValue]:
    """Return names in order, whatever order they came in."""
    return [*sorted(map(str, found))]


def text_of(content: Any) -> str:
    """Return the text of a content that is text or blocks of which some are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (block.get("text") for block in content if isinstance(block, dict))
    return "\n".join(text for text in texts if isinstance(text, str))
