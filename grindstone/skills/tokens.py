"""A text as its reader takes it in: words and numbers, however they are dressed.

Two spellings that a person reads as the same give the same tokens: compatibility forms,
look-alike letters of other scripts, accents, invisible characters, case, markdown and HTML
emphasis, the marks between a number's thousands, the sign before its decimals, what parts a
date and a time of day, hyphens and underscores between words, line breaks. Each token weighs as
many bits as it would take to hit on it by chance, so a few common words weigh little and a
single long number much.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from confusable_homoglyphs import confusables  # type: ignore[import-untyped]

from grindstone.skills.dates import clocked, dated

_COMMON_BITS = 2.0
_RARE_BITS = 14.0
_LETTER_BITS = 2.8
_ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "er", "able")
_DIGIT_BITS = 3.32
_HEX_BITS = 4.0
_DATE_BITS = 10.0
_CLOCK_BITS = 6.2  # at most, of a number that may be an hour, a minute or a count of days
_CLOCK_NUMBERS = 60
_DECIMALS_BITS = 3.0
_DIGITS_ALONE = 4
"""From so many significant digits on a number is known by them, wherever its point stands."""

_FLOAT_CHARS = 300

_ROUND_NUMBERS = """
    100 127 128 200 201 204 255 256 301 302 304 360 365 366 400 401 403 404 409 422 429 443 500
    502 503 512 600 644 755 777 1024 1440 2048 3306 4096 5432 6379 8080 8192 8443 8888 16384
    32768 65535 65536 86400 123 1234 12345 123456 1234567 12345678 123456789 1234567890
    3.14 31415 31416 314159 2718 1.5 2.5 0.5 999 9999 99999 99.9 99.99
"""
_ROUND = frozenset(_ROUND_NUMBERS.split())
_UNSEEN = ("Mn", "Me", "Cf")  # accents, enclosing marks, format characters
_FORMAT = re.compile(
    r"\*\*|~~|`|</?(?:b|i|u|em|strong|code|kbd|span|sub|sup|small|mark)\b[^<>]{0,80}>"
)
_GROUPED = re.compile(r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))")
_SPELLED = re.compile(r"(?<!\w)\w[ \-_·](?:[\w.,][ \-_·]){2,}\w(?!\w)")
_TOKEN = re.compile(
    r"(?P<date>(?<!\d)(?:19|20)\d\d-\d\d-\d\d(?!\d))"
    r"|(?<![^\W_])(?P<hex>(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,})(?![^\W_])"
    r"|(?P<number>\d+(?:[.,_']\d+)*)"
    r"|(?P<word>[^\W\d_]+)"
)
_THOUSANDS = re.compile(r"(\d{1,3}(?:([.,_'])\d{3})(?:\2\d{3})*)(?:[.,](\d+))?")
_DECIMAL = re.compile(r"(\d+)[.,](\d+)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Token(NamedTuple):
    """A word or a number in its plain form."""

    text: str
    bits: float
    line: int  # from 1 on
    value: float | None = None  # of a number


@cache
def common_words() -> frozenset[str]:
    """Return words that say nothing by themselves.

    They are those in the source of ten or more of 173 Python distributions and modules of
    the standard library, with a few of everyday tables.
    """
    return frozenset((files("grindstone.skills") / "common_words.txt").read_text().split())


def plain(text: str) -> str:
    """Return a text without what changes its looks and not its meaning; lines stay lines."""
    text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text))
        text = "".join(letter for letter in text if unicodedata.category(letter) not in _UNSEEN)
        text = text.translate(_look_alikes())
    return _CAMEL.sub(" ", _FORMAT.sub("", text)).casefold()


def tokens_of(text: str) -> list[Token]:
    """Return the words and numbers of a text in order."""
    found: list[Token] = []
    for number, line in enumerate(plain(text).split("\n"), 1):
        found.extend(_tokens(line, number))
    return found


@lru_cache(maxsize=4)
def readings(text: str) -> tuple[tuple[Token, ...], ...]:
    """Return the tokens of a text in each way it can be read.

    A blank between digits may part two numbers or the thousands of one, letters that stand
    apart may be a word, and six digits a time of day.
    """
    lines = plain(text).split("\n")
    grouped = [_GROUPED.sub("", line) for line in lines]
    spelled = [_SPELLED.sub(_joined, line) for line in lines]
    timed = [clocked(line) for line in lines]
    ways = [lines, *(way for way in (grouped, spelled, timed) if way != lines)]
    return tuple(
        tuple(token for at, line in enumerate(way, 1) for token in _tokens(line, at))
        for way in ways
    )


@lru_cache(maxsize=100_000)
def _word_bits(word: str) -> float:
    if len(word) == 1 or word in common_words():
        return _COMMON_BITS
    if any(word.removesuffix(end) in common_words() for end in _ENDINGS):
        return _COMMON_BITS
    return min(_RARE_BITS, _LETTER_BITS * len(word))


def _joined(spelled: re.Match[str]) -> str:
    return re.sub(r"[ \-_·]", "", spelled.group())


def _tokens(line: str, at: int) -> Iterator[Token]:
    for match in _TOKEN.finditer(dated(line)):
        text = match.group()
        if match["word"]:
            yield Token(text, _word_bits(text), at)
        elif match["date"]:
            yield Token(text, _DATE_BITS, at)
        elif match["hex"]:
            yield from (Token(character, _HEX_BITS, at) for character in text)
        else:
            yield from (_number(part, at) for part in _numbers(text))


def _numbers(text: str) -> Iterator[str]:
    """Yield the numbers a run of digits and marks stands for, as digits with a point."""
    if grouped := _THOUSANDS.fullmatch(text):
        whole = re.sub(r"\D", "", grouped[1])
        yield f"{whole}.{grouped[3]}" if grouped[3] else whole
    elif decimal := _DECIMAL.fullmatch(text):
        yield f"{decimal[1]}.{decimal[2]}"
    else:
        yield from re.split(r"\D", text)


def _number(text: str, at: int) -> Token:
    whole, _, decimals = text.partition(".")
    whole, decimals = whole.lstrip("0"), decimals.rstrip("0")
    digits = (whole + decimals).strip("0")
    shown = f"{whole or '0'}.{decimals}" if decimals else whole or "0"
    known_by = digits if len(digits) >= _DIGITS_ALONE else shown
    year = len(known_by) == 4 and known_by[:2] in ("19", "20")
    bits = _DIGIT_BITS * max(len(digits), 1) + (_DECIMALS_BITS if "." in known_by else 0.0)
    if year or known_by in _ROUND:
        bits = min(bits, _COMMON_BITS)
    value = float(shown[:_FLOAT_CHARS])
    if value < _CLOCK_NUMBERS and not decimals:
        bits = min(bits, _CLOCK_BITS)
    return Token(known_by, bits, at, value)


@cache
def _look_alikes() -> dict[int, str]:
    """Return the letter or digit each character of another script is mistaken for."""
    found: dict[int, str] = {}
    for character, alike in confusables.confusables_data.items():
        if len(character) != 1 or character.isascii():
            continue
        plain_ones = [each["c"] for each in alike if each["c"].isascii() and each["c"].isalnum()]
        if plain_ones:
            found[ord(character)] = plain_ones[0]
    return found
