"""What pydantic found wrong, in sentences of the form "is 'soon'; expected a number"."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

SHOWN_CHARS = 60


class InvalidValue(NamedTuple):
    """One value that does not fit."""

    place: tuple[str, ...]
    """Keys from the outside in; empty where values do not go together."""
    problem: str
    expected: str


_EXPECTED: Mapping[str, str] = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "enum": "one of {expected}",
    "literal_error": "one of {expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text of the form {pattern}",
}
"""What was expected, by pydantic's type of the error; its own words say what is not."""


def faults(error: ValidationError) -> list[InvalidValue]:
    """Return every value that does not fit, in the model's order."""
    return [_fault(item) for item in error.errors(include_url=False)]


def _fault(item: Any) -> InvalidValue:
    place = tuple(str(part) for part in item["loc"] if part != "[key]")
    context = item.get("ctx", {})
    if item["type"] == "extra_forbidden":
        return InvalidValue(place, "is unknown", "a name that is known here")
    if item["type"] == "missing":
        return InvalidValue(place, "is missing", "a value")
    if item["type"] == "value_error":
        return _own_words(place, str(context["error"]), item["input"])
    expected = _EXPECTED.get(item["type"])
    if expected is None:
        expected = item["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    else:
        words = {name: _number(value).replace("'", "") for name, value in context.items()}
        words["pattern"] = str(context.get("pattern", ""))
        expected = expected.format(**words)
    return InvalidValue(place, f"is {_shown(item['input'])}", expected)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _own_words(place: tuple[str, ...], message: str, value: object) -> InvalidValue:
    """Take apart what a validator of ours says: `key: problem; expected …`, or a part of it."""
    told, semicolon, expected = message.partition("; expected ")
    if not semicolon:
        if place:
            return InvalidValue(place, f"is {_shown(value)}: {message}", "a value that fits")
        return InvalidValue(place, message, "settings that go together")
    key, colon, problem = told.partition(": ")
    if colon and key.isidentifier():  # raised for a whole section
        return InvalidValue((*place, key), problem, expected)
    return InvalidValue(place, told, expected)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 3]}..."
