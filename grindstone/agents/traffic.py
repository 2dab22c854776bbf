"""A trajectory made from what went to and from a model."""

import re
import shlex
from collections.abc import Mapping

from pydantic import JsonValue

from grindstone.agents.agent_file import ToolWord
from grindstone.agents.recorder import Recorder
from grindstone.proxy.api import Heard
from grindstone.proxy.session import Session
from grindstone.records import StepKind, ToolCall, ToolOutput

ARGUMENT = {"bash": "command", "load_skill": "name", "read_file": "path"}
"""Of our own tools, which the rest of the package reads."""

_EXIT = re.compile(r"(?:exit(?:ed with)?[ _](?:code|status)|returncode)\W{0,4}(\d{1,3})\b", re.I)
_LOOKED_AT = 400
"""Characters at either end of an output, where programs tell an exit code."""


def record_traffic(record: Recorder, session: Session, words: Mapping[str, ToolWord]) -> str:
    """Record one step for each answer, and return the last one's text.

    Args:
        record: Where to.
        session: What was said.
        words: What the agent's tools come to in ours.
    """
    last = ""
    for exchange in session.exchanges:
        said = exchange.said
        calls = tuple(in_our_words(call, words) for call in said.calls)
        heard = ((call, session.heard.get(call.call_id)) for call in calls)
        record.add(
            StepKind.AGENT,
            said.text,
            reasoning=said.reasoning,
            calls=calls,
            outputs=tuple(output_of(call, each) for call, each in heard if each is not None),
            usage=exchange.usage,
        )
        last = said.text or last
    return last


def in_our_words(call: ToolCall, words: Mapping[str, ToolWord]) -> ToolCall:
    """Return a call under our tool's name, where it is one of ours in other words."""
    word = words.get(call.name)
    if word is None or word.argument not in call.arguments:
        return call
    value = call.arguments[word.argument]
    rest = {name: each for name, each in call.arguments.items() if name != word.argument}
    arguments: dict[str, JsonValue] = {**rest, ARGUMENT[word.name]: _plain(value)}
    return call.model_copy(update={"name": word.name, "arguments": arguments})


def _plain(value: JsonValue) -> JsonValue:
    """Return a command as text: some tools take it as a list, a shell's `-c` among it."""
    if not isinstance(value, list):
        return value
    parts = [str(part) for part in value]
    return parts[2] if len(parts) == 3 and parts[1].startswith("-") else shlex.join(parts)


def output_of(call: ToolCall, heard: Heard) -> ToolOutput:
    """Return what a tool gave, with the exit code that its text tells; programs tell failures."""
    looked_at = f"{heard.content[:_LOOKED_AT]}\n{heard.content[-_LOOKED_AT:]}"
    found = _EXIT.search(looked_at)
    otherwise = int(heard.is_error) if call.name == "bash" else None
    exit_code = int(found[1]) if found else otherwise
    return ToolOutput(
        call_id=heard.call_id,
        content=heard.content,
        is_error=heard.is_error,
        exit_code=exit_code,
    )
