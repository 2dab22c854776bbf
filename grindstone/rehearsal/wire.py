"""The Messages API's JSON as records: what was asked, and what is answered."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from grindstone.records import Role
from grindstone.rehearsal.programs import our_words, unwrapped

MODEL = "rehearsal"
_CD = re.compile(r"^cd \S+ && ")
_ROLE_LINE = re.compile(r"Role:[ \t]*([a-z_]+)[ \t]*(?:\n|$)")


class BadRequestError(Exception):
    """The request breaks the Messages API's rules; answered as an HTTP 400."""


class RequestedTool(NamedTuple):
    """A tool was asked for."""

    call_id: str
    name: str
    arguments: dict[str, Any]


class Result(NamedTuple):
    """What a tool gave."""

    call_id: str
    text: str
    is_error: bool


class Turn(NamedTuple):
    """One message."""

    role: str
    texts: tuple[str, ...]
    uses: tuple[RequestedTool, ...]
    results: tuple[Result, ...]

    @property
    def text(self) -> str:
        """All its text blocks."""
        return "\n".join(self.texts)


class OfferedTool(NamedTuple):
    """A tool on offer, and the first argument it requires."""

    name: str
    argument: str


class ModelRequest(NamedTuple):
    """A request, as far as an answer depends on it."""

    role: Role | None
    system: str
    turns: tuple[Turn, ...]
    tools: tuple[OfferedTool, ...]
    schema: dict[str, Any] | None
    max_tokens: int
    stop_sequences: tuple[str, ...]
    stream: bool

    @property
    def tool_names(self) -> frozenset[str]:
        """Names of the tools on offer."""
        return frozenset(tool.name for tool in self.tools)

    @property
    def user_text(self) -> str:
        """All that the user's turns say, tool results left out."""
        return "\n\n".join(turn.text for turn in self.turns if turn.role == "user" and turn.text)


class ScriptedAnswer(NamedTuple):
    """What is said: text, then at most one tool use."""

    text: str
    use: RequestedTool | None = None


def digest(*parts: object) -> str:
    """Return 24 hex digits that depend on nothing but the parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def known_by(name: str, arguments: Mapping[str, object]) -> str:
    """Return what a call is known by.

    Programs hand calls back with other white space, and without a `cd` to where they are.
    """
    plain = {key: " ".join(str(each).split()) for key, each in arguments.items()}
    return digest(name, {key: _CD.sub("", each) for key, each in plain.items()})


def parse(body: object, *, counting: bool = False) -> ModelRequest:
    """Return the request as records.

    Args:
        body: The decoded JSON.
        counting: It came to count_tokens, which takes no max_tokens.

    Raises:
        BadRequestError: A field is missing or unusable, or a tool use has no result.
    """
    if not isinstance(body, dict):
        raise BadRequestError("the request body must be a JSON object")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise BadRequestError("model: Field required")
    max_tokens = body.get("max_tokens", 1 if counting else None)
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise BadRequestError("max_tokens: Input should be a whole number of at least 1")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages: at least one message is required")
    asides = [m for m in messages if isinstance(m, dict) and m.get("role") == "system"]
    said = [message for message in messages if message not in asides]
    turns = tuple(_turn(message, index) for index, message in enumerate(said))
    if not turns or turns[0].role != "user":
        raise BadRequestError("messages: first message must use the user role")
    _check_tool_results(turns)
    system = "\n".join(_texts(body.get("system") or "", "system"))
    system, opening = our_words(system, turns[0].texts)
    turns = (turns[0]._replace(texts=opening), *turns[1:])
    return ModelRequest(
        role=_role(system),
        system=system,
        turns=turns,
        tools=tuple(_tool(tool, index) for index, tool in enumerate(body.get("tools") or [])),
        schema=_schema(body),
        max_tokens=max_tokens,
        stop_sequences=tuple(body.get("stop_sequences") or ()),
        stream=body.get("stream") is True,
    )


def _role(system: str) -> Role | None:
    found = _ROLE_LINE.match(system.lstrip())
    return Role(found[1]) if found and found[1] in set(Role) else None


def _texts(content: object, where: str) -> tuple[str, ...]:
    if isinstance(content, str):
        return (content,) if content else ()
    if not isinstance(content, list):
        raise BadRequestError(f"{where}: Input should be a string or a list of blocks")
    return tuple(
        block["text"]
        for block in content
        if isinstance(block, dict) and isinstance(block.get("text"), str)
    )


def _turn(message: object, index: int) -> Turn:
    where = f"messages.{index}"
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
        raise BadRequestError(f"{where}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if content in ("", [], None):
        raise BadRequestError(f"{where}: all messages must have non-empty content")
    uses: list[RequestedTool] = []
    results: list[Result] = []
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise BadRequestError(f"{where}.content: every block needs a type")
        if block["type"] == "tool_use":
            uses.append(
                RequestedTool(
                    str(block.get("id")), str(block.get("name")), block.get("input") or {}
                )
            )
        elif block["type"] == "tool_result":
            text = "\n".join(_texts(block.get("content") or "", f"{where}.content"))
            results.append(
                Result(
                    str(block.get("tool_use_id")), unwrapped(text), block.get("is_error") is True
                )
            )
    return Turn(message["role"], _texts(content, where), tuple(uses), tuple(results))


def _check_tool_results(turns: tuple[Turn, ...]) -> None:
    open_ids: set[str] = set()
    for index, turn in enumerate(turns):
        given = {result.call_id for result in turn.results}
        if missing := open_ids - given:
            raise BadRequestError(
                f"messages.{index}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(sorted(missing))}"
            )
        if unknown := given - open_ids:
            raise BadRequestError(
                f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{', '.join(sorted(unknown))}"
            )
        open_ids = {use.call_id for use in turn.uses}
    if open_ids:
        raise BadRequestError("messages: the last message leaves `tool_use` ids unanswered")


def _tool(tool: object, index: int) -> OfferedTool:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        raise BadRequestError(f"tools.{index}.name: Field required")
    schema = tool.get("input_schema") or {}
    names = list(schema.get("required") or ()) or list(schema.get("properties") or ())
    return OfferedTool(tool["name"], str(names[0]) if names else "")


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    config = body.get("output_config") or {}
    form = config.get("format") if isinstance(config, dict) else None
    if form is None:
        return None
    if not isinstance(form, dict) or form.get("type") != "json_schema":
        raise BadRequestError("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(form.get("schema"), dict):
        raise BadRequestError("output_config.format.schema: Field required")
    return dict(form["schema"])
