"""Text of a model, a task or a sandbox, parsed with limits.

The parsers of the standard library and of ruamel recurse as deep as a text nests, take time that
grows with the square of a key's parts or a number's digits, and raise what their callers do not
expect. Here a text is looked over first, in one pass, and whatever is wrong with it is one error
that says what.
"""

import json
import math
import re
import tomllib
from collections.abc import Callable
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Levels of nesting, and parts of a dotted key."""
MAX_DIGITS = 400
"""Of one number: more than any float has."""
MAX_KEYS = 20_000
MAX_ALIASES = 20
"""Of a YAML text: aliases of aliases multiply."""

_TOML_STRINGS = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*+"{3,5}|'
    r"'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^\\"\n]|\\.)*+"|'
    r"'[^'\n]*+'|#[^\n]*+",
    re.DOTALL,
)
_JSON_STRINGS = re.compile(r'"(?:[^\\"]|\\.)*+"', re.DOTALL)
_DOTTED = re.compile(rf"(?<![\w.-])(?:[\w-]++\s*+\.\s*+){{{MAX_DEPTH}}}")
_LONG_NUMBER = re.compile(rf"(?<![\w.-])\d[\d_]{{{MAX_DIGITS}}}")
_YAML_ALIAS = re.compile(r"(?:^|[:,\-])\s+\*\w|\[\*\w", re.MULTILINE)
_BRACKETS = re.compile(r"[\[\]{}]")
_YAML_INDENT = re.compile(r"^( *)((?:[-?:] +)*)(?=\S)", re.MULTILINE)

_FENCED = re.compile(r"```[A-Za-z]*[ \t]*\n(.*?)\n?```", re.DOTALL)


class UntrustedError(ValueError):
    """A text that is not what it should be, or is beyond a limit; the message says which."""


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        UntrustedError: It is no JSON, nests too deep, or holds a number of too many digits or
            beyond any float.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UntrustedError(f"is not UTF-8 at byte {error.start}") from error
    _check_brackets(_JSON_STRINGS.sub('""', text))
    try:
        return json.loads(text, parse_int=_integer, parse_float=_finite, parse_constant=_finite)
    except UntrustedError:
        raise
    except (ValueError, RecursionError) as error:
        raise UntrustedError(f"is not JSON: {error}") from error


def read_json_answer(text: str) -> Any:
    """Return what a model's answer in JSON holds; a code fence around the whole of it is let pass.

    Services that ignore a schema leave it to the model, and many models fence what they write.

    Raises:
        UntrustedError: See `read_json`.
    """
    fenced = _FENCED.fullmatch(text.strip())
    return read_json(fenced.group(1) if fenced else text)


def read_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text holds.

    Raises:
        UntrustedError: It is no TOML, nests too deep, or holds a key of too many parts, a number
            of too many digits or too many keys.
    """
    bare = _TOML_STRINGS.sub("x", text)
    _check_brackets(bare)
    if _DOTTED.search(bare):
        raise UntrustedError(f"has a key of more than {MAX_DEPTH} parts")
    if _LONG_NUMBER.search(bare):
        raise UntrustedError(f"has a number of more than {MAX_DIGITS} digits")
    if bare.count("=") > MAX_KEYS:
        raise UntrustedError(f"has more than {MAX_KEYS} keys")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UntrustedError(f"is not TOML: {error}") from error


def read_yaml(text: str, load: Callable[[str], Any]) -> Any:
    """Return what a YAML text holds, read by one of ruamel's loaders.

    Raises:
        UntrustedError: It is no YAML, nests too deep or has too many lines.
    """
    from ruamel.yaml.error import YAMLError

    # Brackets in quotes are counted too: where a quote ends depends on what is around it.
    _check_brackets(text)
    if len(_YAML_ALIAS.findall(text)) > MAX_ALIASES:
        raise UntrustedError(f"has more than {MAX_ALIASES} aliases")
    if text.count("\n") > MAX_KEYS:
        raise UntrustedError(f"has more than {MAX_KEYS} lines")
    if _LONG_NUMBER.search(text):
        raise UntrustedError(f"has a number of more than {MAX_DIGITS} digits")
    open_at: list[int] = []
    for match in _YAML_INDENT.finditer(text):
        marks = len(match[2].split())
        indent = len(match[1])
        while open_at and open_at[-1] >= indent:
            open_at.pop()
        open_at.append(indent)
        if len(open_at) + marks > MAX_DEPTH:
            _too_deep()
    try:
        return load(text)
    except (YAMLError, ValueError, RecursionError, AttributeError) as error:
        seen = getattr(error, "problem", None) or str(error).strip().split("\n")[0]
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark is not None else ""
        raise UntrustedError(f"is not YAML: {seen}{at}") from error


def _check_brackets(bare: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(bare):
        depth += 1 if match[0] in "[{" else -1
        if depth > MAX_DEPTH:
            _too_deep()


def _too_deep() -> NoReturn:
    raise UntrustedError(f"nests deeper than {MAX_DEPTH} levels")


def _finite(number: str) -> float:
    """Python's parser takes NaN and Infinity, which JSON has not, and makes infinity of 1e999."""
    value = float(number)
    if not math.isfinite(value):
        raise UntrustedError(f"holds {number[:40]}, which is no finite number")
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise UntrustedError(f"has a number of more than {MAX_DIGITS} digits")
    return int(digits)
