"""Reading the JSON answers of the `terminus2` profiles.

Models wrap their JSON in prose and fences and forget a closing brace; what is beyond
doubt is read, and each liberty taken becomes a warning that the model is told.
"""

import json
import math
from typing import Any, NamedTuple

from grindstone.errors import GrindstoneError

DEFAULT_DURATION_S = 1.0
MAX_DURATION_S = 60.0
"""Longest wait after one command; a model waits longer by sending empty keystrokes."""

_FIELDS = ("analysis", "plan", "commands", "task_complete")


class UnusableAnswerError(GrindstoneError):
    """The answer holds no commands that could be run; the message tells the model why."""


class Keystrokes(NamedTuple):
    """What is typed, and how long to wait for what it does."""

    text: str
    duration_s: float


class TerminusAnswer(NamedTuple):
    """One answer, understood."""

    analysis: str
    plan: str
    commands: tuple[Keystrokes, ...]
    task_complete: bool
    warnings: tuple[str, ...]


def parse_answer(text: str) -> TerminusAnswer:
    """Return what an answer asks for.

    Raises:
        UnusableAnswerError: No JSON object, or fields of the wrong type.
    """
    warnings: list[str] = []
    found = _find_object(text, warnings)
    complete = _flag(found.get("task_complete", False), warnings)
    if "commands" not in found and not complete:
        raise UnusableAnswerError('"commands" is missing; expected a list, which may be empty')
    commands = _commands(found.get("commands") or [], warnings)
    spoken = {name: _prose(found, name, warnings) for name in ("analysis", "plan")}
    unknown = sorted(set(found) - set(_FIELDS))
    if unknown:
        warnings.append(f"unknown fields were ignored: {', '.join(unknown)}")
    return TerminusAnswer(spoken["analysis"], spoken["plan"], commands, complete, tuple(warnings))


def _find_object(text: str, warnings: list[str]) -> dict[str, Any]:
    decoder = json.JSONDecoder(strict=False)  # raw line breaks inside strings are common
    start = text.find("{")
    if start < 0:
        raise UnusableAnswerError("there is no JSON object in the answer")
    fault: json.JSONDecodeError | None = None
    at = start
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            fault = fault or error
        else:
            if isinstance(value, dict) and not set(value).isdisjoint(_FIELDS):
                _remark_surroundings(text[:at], text[end:], warnings)
                return value
        at = text.find("{", at + 1)
    closed = _close(text[start:])
    if closed is not None:
        warnings.append("the JSON lacked closing brackets, which were added")
        return closed
    raise UnusableAnswerError(f"the JSON cannot be read: {fault or 'none of the fields is there'}")


def _remark_surroundings(before: str, after: str, warnings: list[str]) -> None:
    if before.replace("```json", "").replace("```", "").strip():
        warnings.append("there was text before the JSON object, which was ignored")
    if after.replace("```", "").strip():
        warnings.append("there was text after the JSON object, which was ignored")


def _close(text: str) -> dict[str, Any] | None:
    """Add the missing closing brackets; None where the text ends inside a string."""
    open_brackets: list[str] = []
    in_string = escaped = False
    for letter in text:
        if in_string:
            in_string = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            in_string = True
        elif letter in "{[":
            open_brackets.append("}" if letter == "{" else "]")
        elif letter in "}]" and (not open_brackets or open_brackets.pop() != letter):
            return None
    if in_string or not open_brackets:
        return None
    body = text.rstrip().removesuffix("```").rstrip().rstrip(",")
    try:
        value = json.loads(body + "".join(reversed(open_brackets)), strict=False)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) and not set(value).isdisjoint(_FIELDS) else None


def _flag(value: Any, warnings: list[str]) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        warnings.append('"task_complete" was a string; expected true or false')
        return value.strip().lower() == "true"
    if value is None:
        return False
    raise UnusableAnswerError(f'"task_complete" is {value!r}; expected true or false')


def _prose(found: dict[str, Any], name: str, warnings: list[str]) -> str:
    value = found.get(name)
    if isinstance(value, str):
        return value
    warnings.append(f'"{name}" is missing' if value is None else f'"{name}" is not a string')
    return "" if value is None else json.dumps(value)


def _commands(value: Any, warnings: list[str]) -> tuple[Keystrokes, ...]:
    if not isinstance(value, list):
        raise UnusableAnswerError(f'"commands" is a {type(value).__name__}; expected a list')
    return tuple(_command(each, number, warnings) for number, each in enumerate(value, 1))


def _command(value: Any, number: int, warnings: list[str]) -> Keystrokes:
    where = f"command {number}"
    if not isinstance(value, dict):
        raise UnusableAnswerError(f'{where} is no object; expected "keystrokes" and "duration"')
    text = value.get("keystrokes")
    if not isinstance(text, str):
        raise UnusableAnswerError(f'{where}: "keystrokes" is missing or no string')
    duration = value.get("duration", DEFAULT_DURATION_S)
    sound = isinstance(duration, int | float) and not isinstance(duration, bool)
    if not sound or not math.isfinite(duration) or duration < 0:
        warnings.append(f'{where}: "duration" is no number of seconds; {DEFAULT_DURATION_S} used')
        duration = DEFAULT_DURATION_S
    if duration > MAX_DURATION_S:
        warnings.append(f'{where}: "duration" was lowered to {MAX_DURATION_S:.0f} seconds')
    return Keystrokes(text, min(float(duration), MAX_DURATION_S))
