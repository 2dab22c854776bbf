"""A text as a reader sees it: what is invisible left out, what only looks different made alike."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from grindstone.untrusted import MAX_DEPTH

_WORD = re.compile(r"[^\W\d_]+")
_DASHES = re.compile(r"(?<=\w)[\u2010-\u2013\u2212\u2043\ufe63\uff0d](?=\w)")
_ENCODED = re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{20,}={0,2}(?![\w+/])")
MAX_LAYERS = 3
"""How often what was decoded is decoded again."""


def as_seen(text: str) -> str:
    """Return a text with full-width and other digits and letters as ours.

    Format characters are left out, and a short dash between letters or digits is a hyphen. A
    letter of another script is the one it looks like where its word has letters of ours too;
    words of one script stay as they are.
    """
    if text.isascii():
        return text
    plain = "".join(map(_seen, unicodedata.normalize("NFKC", text)))
    return _WORD.sub(lambda word: _one_script(word[0]), _DASHES.sub("-", plain))


def all_as_seen(value: JsonValue, depth: int = 0) -> JsonValue:
    """Return a value with every text in it, names of fields included, as a reader sees it."""
    if isinstance(value, str):
        return as_seen(value)
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {as_seen(name): all_as_seen(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [all_as_seen(each, depth + 1) for each in value]
    return value


def decoded(text: str, layer: int = 1) -> Iterator[str]:
    """Yield the words that stretches of base64 in a text stand for, and those within them."""
    for found in _ENCODED.finditer(text):
        try:
            words = base64.b64decode(found[0] + "=" * (-len(found[0]) % 4)).decode("utf-8")
        except (binascii.Error, ValueError):
            continue
        if words.isprintable() or "\n" in words:
            yield as_seen(words)
            if layer < MAX_LAYERS:
                yield from decoded(words, layer + 1)


def _seen(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind == "Cf":
        return ""
    return str(unicodedata.digit(letter)) if kind == "Nd" else letter


def _one_script(word: str) -> str:
    if word.isascii() or not re.search("[A-Za-z]", word):
        return word
    from grindstone.skills.tokens import look_alikes  # its tables are read where they are needed

    return word.translate(look_alikes())
