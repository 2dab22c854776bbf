"""A text as its reader takes it in: words and numbers, however they are dressed.

Two spellings that a person reads as the same give the same tokens: compatibility forms,
look-alike letters of other scripts, accents, invisible characters, case, markdown and HTML
emphasis, the marks between a number's thousands, the sign before its decimals, what parts a
date and a time of day, hyphens and underscores between words, line breaks. Each token weighs as
many bits as it would take to hit on it by chance, so a few common words weigh little and a
single long number much.
"""

import html
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from confusable_homoglyphs import confusables  # type: ignore[import-untyped]

from grindstone.skills.dates import clocked, dated
from grindstone.skills.encodings import Lines, lines_of
from grindstone.skills.numerals import counted

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
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # fillers that show nothing
_TAGS = {code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}  # invisible, and read by models
_LETTER_NAME = re.compile(
    r"(?:SMALL CAPITAL|SYMBOL|SQUARED|CIRCLED|CAPITAL|SMALL) (?:LETTER )?([A-Z])$"
)
_LETTER_RANGES = ((0x250, 0x2B0), (0x1D00, 0x1D80), (0xA720, 0xA800), (0x1F110, 0x1F200))
_FORMAT = re.compile(
    r"\*\*|~~|`|</?(?:b|i|u|em|strong|code|kbd|span|sub|sup|small|mark)\b[^<>]{0,80}>"
)
_GROUPED = re.compile(r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))")
_SPELLED = re.compile(r"(?<!\w)\w[ \-_·](?:[\w.,][ \-_·]){2,}\w(?!\w)")
_DIGIT_LIKE = re.compile(r"(?<![0-9ol])[0-9ol]*[0-9][0-9ol]*|(?<=[-:])[ol]{1,2}(?=[-:t ])")
_TOKEN = re.compile(
    r"(?P<date>(?<!\d)(?:19|20)\d\d-\d\d-\d\d(?!\d))"
    r"|(?<![^\W_])(?P<hex>(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,})(?![^\W_])"
    r"|(?P<number>\d+(?:[.,_']\d+)*)"
    r"|(?P<word>[^\W\d_]+)"
)
_THOUSANDS = re.compile(r"(\d{1,3}(?:([.,_'])\d{3})(?:\2\d{3})*)(?:[.,](\d+))?")
_DECIMAL = re.compile(r"(\d+)[.,](\d+)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


Words = tuple[str, ...]


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
    return "\n".join(map(_plain_line, text.split("\n")))


@lru_cache(maxsize=20_000)
def _plain_line(line: str) -> str:
    if "&" in line:
        line = html.unescape(line).replace("\n", " ")
    if not line.isascii():
        line = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", line.translate(_TAGS)))
        line = "".join(map(_seen, line)).translate(look_alikes())
    return _CAMEL.sub(" ", _FORMAT.sub("", line)).casefold()


def _seen(letter: str) -> str:
    """Return what is seen of a character: nothing, a digit of any script as ours, or itself."""
    kind = unicodedata.category(letter)
    if kind in _UNSEEN or letter in _BLANK_LETTERS:
        return ""
    return str(unicodedata.digit(letter)) if kind == "Nd" else letter


def tokens_of(text: str) -> list[Token]:
    """Return the words and numbers of a text in order."""
    return [token for at, line in lines_of(text) for token in _tokens(line, at, _same)]


class TextReading:
    """One way of reading a text."""

    def __init__(self, lines: Lines, tokens: Sequence[Token]) -> None:
        self.lines = dict(lines)
        self.tokens = tokens
        self._stretches: dict[float, dict[Words, int]] = {}
        self._made: dict[Callable[[Sequence[Token]], dict[Words, int]], dict[Words, int]] = {}
        self._by_line: dict[int, list[Token]] = {}
        for token in tokens:
            self._by_line.setdefault(token.line, []).append(token)

    def stretches(self, bits: float) -> Mapping[Words, int]:
        """Return its stretches of so many bits, with the lines they begin on."""
        if bits not in self._stretches:
            self._stretches[bits] = stretches(self.tokens, bits)
        return self._stretches[bits]

    def once(self, make: Callable[[Sequence[Token]], dict[Words, int]]) -> Mapping[Words, int]:
        """Return what a function makes of its tokens, made once for all who ask."""
        if make not in self._made:
            self._made[make] = make(self.tokens)
        return self._made[make]

    def by_line(self) -> Mapping[int, Sequence[Token]]:
        """Return its tokens by the number of their line."""
        return self._by_line


def readings(lines: Lines) -> list[TextReading]:
    """Return the tokens of a text in each way it can be read.

    A blank between digits may part two numbers or the thousands of one, letters that stand
    apart may be a word, six digits a time of day, words numbers, and an O a nought.
    """
    ways = dict.fromkeys(
        tuple(token for at, line in lines for token in _tokens(line, at, way)) for way in _WAYS
    )
    return [TextReading(lines, tokens) for tokens in ways if tokens]


def stretches(tokens: Sequence[Token], bits: float) -> dict[Words, int]:
    """Return, from each token on, the shortest stretch that weighs enough, with its first line.

    Two texts that share a run of tokens share the stretches that lie within it: where a
    stretch ends depends on its own tokens alone.
    """
    found: dict[Words, int] = {}
    words = tuple(token.text for token in tokens)
    end, weight = 0, 0.0
    for start, token in enumerate(tokens):
        while weight < bits and end < len(tokens):
            weight += tokens[end].bits
            end += 1
        if weight < bits:
            break
        found.setdefault(words[start:end], token.line)
        weight -= token.bits
    return found


@lru_cache(maxsize=100_000)
def word_bits(word: str) -> float:
    """Return the bits a word weighs."""
    if len(word) == 1 or word in common_words():
        return _COMMON_BITS
    if any(word.removesuffix(end) in common_words() for end in _ENDINGS):
        return _COMMON_BITS
    return min(_RARE_BITS, _LETTER_BITS * len(word))


def _joined(spelled: re.Match[str]) -> str:
    return re.sub(r"[ \-_·]", "", spelled.group())


Way = Callable[[str], str]


def _same(line: str) -> str:
    return line


def _grouped(line: str) -> str:
    return _GROUPED.sub("", line)


def _spelled(line: str) -> str:
    return _SPELLED.sub(_joined, line)


def _misread(line: str) -> str:
    return _DIGIT_LIKE.sub(lambda number: number.group().replace("o", "0").replace("l", "1"), line)


_WAYS: tuple[Way, ...] = (_same, _grouped, _spelled, clocked, _misread, counted)


def _tokens(line: str, at: int, way: Way) -> Iterator[Token]:
    for text, bits, value in _line_tokens(line, way):
        yield Token(text, bits, at, value)


@lru_cache(maxsize=100_000)
def _line_tokens(line: str, way: Way) -> tuple[tuple[str, float, float | None], ...]:
    # What is spelled is told by its capitals; all else is read in the plain form.
    shown = plain(counted(line)) if way is counted else way(_plain_line(line))
    return tuple(_parts(shown))


def _parts(line: str) -> Iterator[tuple[str, float, float | None]]:
    for match in _TOKEN.finditer(dated(line)):
        text = match.group()
        if match["word"]:
            yield text, word_bits(text), None
        elif match["date"]:
            yield text, _DATE_BITS, None
        elif match["hex"]:
            yield from ((character, _HEX_BITS, None) for character in text)
        else:
            yield from map(_number, _numbers(text))


def _numbers(text: str) -> Iterator[str]:
    """Yield the numbers a run of digits and marks stands for, as digits with a point."""
    if grouped := _THOUSANDS.fullmatch(text):
        whole = re.sub(r"\D", "", grouped[1])
        yield f"{whole}.{grouped[3]}" if grouped[3] else whole
    elif decimal := _DECIMAL.fullmatch(text):
        yield f"{decimal[1]}.{decimal[2]}"
    else:
        yield from re.split(r"\D", text)


def _number(text: str) -> tuple[str, float, float]:
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
    return known_by, bits, value


@cache
def look_alikes() -> dict[int, str]:
    """Return the letter or digit each character of another script is mistaken for."""
    found: dict[int, str] = {}
    for character, alike in confusables.confusables_data.items():
        if len(character) != 1 or character.isascii():
            continue
        plain_ones = [each["c"] for each in alike if each["c"].isascii() and each["c"].isalnum()]
        if plain_ones:
            found[ord(character)] = plain_ones[0]
    for code in itertools.chain(*(range(*ends) for ends in _LETTER_RANGES)):
        if named := _LETTER_NAME.search(unicodedata.name(chr(code), "")):
            found[code] = named[1].lower()
    return found
