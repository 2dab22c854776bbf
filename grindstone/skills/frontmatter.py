"""The YAML head of a SKILL.md: found, read as strings, edited without disturbing the rest."""

import io
import re
from functools import cache
from typing import NamedTuple

from pydantic import JsonValue

from grindstone.errors import InputError
from grindstone.untrusted import UntrustedError, read_yaml

BOM = "\ufeff"
FENCE = "---"


class SkillError(InputError):
    """A skill cannot be used; `where` names its file and the field."""


class Parts(NamedTuple):
    """A SKILL.md cut in three, each with its own line endings kept.

    `head + body` is the file's text; `yaml` is the part of `head` between the fences.
    """

    head: str  # up to and including the closing fence's line and blank lines after it
    yaml: str
    body: str
    newline: str  # the file's usual line ending


def split(text: str, where: str) -> Parts:
    """Cut a SKILL.md at its fences.

    Raises:
        SkillError: The text does not begin with a fenced head.
    """
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    lines = re.findall(r"[^\n]*\n|[^\n]+", text.removeprefix(BOM))
    if not lines or lines[0].rstrip() != FENCE:
        raise SkillError(where, "does not begin with YAML frontmatter", "a first line of ---")
    close = next((at for at, line in enumerate(lines) if at and line.rstrip() == FENCE), None)
    if close is None:
        raise SkillError(where, "frontmatter is not closed", "a second line of ---")
    after = close + 1
    while after < len(lines) and not lines[after].strip():
        after += 1
    lead = BOM if text.startswith(BOM) else ""
    return Parts(
        lead + "".join(lines[:after]), "".join(lines[1:close]), "".join(lines[after:]), newline
    )


def load(yaml: str, where: str) -> dict[str, JsonValue]:
    """Return the head's mapping; every scalar is a string, as the open format reads it.

    Raises:
        SkillError: It is no YAML mapping.
    """
    from ruamel.yaml import YAML

    try:
        found = read_yaml(yaml, YAML(typ="base", pure=False).load)
    except UntrustedError as error:
        raise SkillError(f"{where}: frontmatter", str(error), "YAML") from error
    if not isinstance(found, dict):
        raise SkillError(f"{where}: frontmatter", "is not a mapping", "`key: value` lines")
    return {str(key): value for key, value in found.items()}


@cache
def refused_yaml() -> tuple[str, ...]:
    """Return the names of YAML features the reference reader refuses."""
    return ("flow style", "an anchor", "an alias", "a tag")


def unusual_yaml(yaml: str) -> tuple[str, ...]:
    """Return which refused features (see `refused_yaml`) the head uses."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent

    flow, anchor, alias, tag = refused_yaml()
    seen: set[str] = set()
    try:
        for event in YAML(typ="base", pure=True).parse(yaml):
            if isinstance(event, AliasEvent):
                seen.add(alias)
                continue
            if getattr(event, "flow_style", None):
                seen.add(flow)
            if getattr(event, "anchor", None):
                seen.add(anchor)
            if getattr(event, "ctag", None) is not None and str(event.ctag or "") not in {"", "!"}:
                seen.add(tag)
    except (YAMLError, RecursionError):
        return ()
    return tuple(sorted(seen))


def dump_fresh(fields: dict[str, JsonValue]) -> str:
    """Return a new head's YAML, in the order given."""
    return _dump(_quoted(fields))


def edit(yaml: str, fields: dict[str, JsonValue]) -> str:
    """Return the YAML with its keys set to `fields`, the untouched ones as they were.

    Keys that `fields` lacks are dropped; comments and order stay.
    """
    from ruamel.yaml import YAML

    reader = YAML(typ="rt")
    reader.preserve_quotes = True
    plain = load(yaml, "frontmatter")
    document = reader.load(yaml)
    _merge(document, plain, fields)
    return _dump(document)


def _merge(
    document: dict[str, JsonValue], plain: dict[str, JsonValue], fields: dict[str, JsonValue]
) -> None:
    for key in [key for key in document if str(key) not in fields]:
        del document[key]
    spelled = {str(key): key for key in document}
    for key, value in fields.items():
        if key in plain and plain[key] == value:
            continue
        there = document.get(spelled.get(key, key))
        before = plain.get(key)
        if isinstance(value, dict) and isinstance(there, dict) and isinstance(before, dict):
            _merge(there, before, value)
        else:
            document[spelled.get(key, key)] = _quoted(value)


def _quoted(value: JsonValue) -> JsonValue:
    """Quote what other YAML readers would take for a number or a truth value."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, str) and value.strip() and len(value) < 40 and "\n" not in value:
        looks_plain = all(character.isalnum() or character in "+-._" for character in value)
        if looks_plain and not isinstance(YAML(typ="safe", pure=True).load(value), str):
            quoted: str = DoubleQuotedScalarString(value)
            return quoted
    return value


def _dump(document: JsonValue) -> str:
    from ruamel.yaml import YAML

    writer = YAML(typ="rt")
    writer.preserve_quotes = True
    writer.width = 1_000_000
    writer.allow_unicode = True
    writer.default_flow_style = False
    out = io.StringIO()
    writer.dump(document, out)
    return out.getvalue()
