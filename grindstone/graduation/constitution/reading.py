"""Reading fields: names in one spelling, strings at any depth, numbers as decimals."""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation

from pydantic import JsonValue

from grindstone.untrusted import MAX_DEPTH

READ_CHARS = 240_000
"""Of one action: as much as a judge is shown of a whole record."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAP = re.compile(r"[\s\-.]+")
_NUMBER = re.compile(
    r"^[^\d\-+.%]{0,5}([-+]?[\d, ]*\.?\d+)\s*(%|per\s?cent|percent)?[^\d%]{0,6}$", re.I
)


class Number(Decimal):
    """A decimal that knows whether it was written as a percentage."""

    percent: bool = False


def snake(name: str) -> str:
    """Return a field's name in snake case: `taxRate`, `Tax-Rate` and `tax rate` are `tax_rate`."""
    return _GAP.sub("_", _HUMP.sub("_", name.strip())).lower()


def snaked(value: JsonValue, depth: int = 0) -> JsonValue:
    """Return a value whose field names, at any depth, are in snake case."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {snake(name): snaked(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [snaked(each, depth + 1) for each in value]
    return value


def strings(value: JsonValue, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield every string and number in a value with the name of the field it stands in."""
    if depth > MAX_DEPTH or isinstance(value, bool):
        return
    if isinstance(value, str | int | float):
        yield name, str(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from strings(each, snake(key), depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each, name, depth + 1)


def opened(value: JsonValue) -> JsonValue:
    """Return what a string holds when it is JSON of a record or a list; else the value itself."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            found: JsonValue = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, dict | list) else value
    return value


def is_deep(value: JsonValue, depth: int = 0) -> bool:
    """Whether a value, with the JSON that its strings hold, nests deeper than is read."""
    value = opened(value)
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return depth > MAX_DEPTH - 2 or any(is_deep(each, depth + 1) for each in inside)


def cut(value: JsonValue, left: list[int]) -> JsonValue:
    """Return a value whose strings have together no more characters than are left."""
    if isinstance(value, str):
        value = value[: left[0]]
        left[0] -= len(value)
    elif isinstance(value, Mapping):
        return {name: cut(each, left) for name, each in value.items()}
    elif isinstance(value, list):
        return [cut(each, left) for each in value]
    return value


def number(value: JsonValue) -> Number | None:
    """Return the number a value states: 13, "13", "$1,300.00", "15%", "15 per cent"."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    written = _NUMBER.match(str(value).strip()) if isinstance(value, str) else None
    if isinstance(value, str) and written is None:
        return None
    try:
        text = str(value) if written is None else re.sub("[, ]", "", written[1])
        found = Number(text)
    except InvalidOperation:
        return None
    if not found.is_finite():
        return None
    found.percent = written is not None and written[2] is not None
    return found
