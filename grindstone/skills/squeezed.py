"""An answer found again when everything but its letters and digits is taken away.

Whatever parts them then is nothing: blanks between all characters, quotes and pluses of a
program that joins pieces, comments, line breaks in the middle of words. The text is read as it
is, backwards, line by line backwards, with its letters and digits moved half round, and as
what stands between its quotes alone.
"""

import codecs
import itertools
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from grindstone.skills.encodings import Lines
from grindstone.skills.numerals import counted
from grindstone.skills.tokens import plain, word_bits

_BITS = 48.0
_WHOLE_BITS = 28.0  # of an answer that weighs less in all
_MOST = 0.8
_TOLD_BITS = 100.0  # where the agent's inputs state it too
_CODE_BITS = 120.0
_HASH_CHARS = 7  # a commit's short name
_GRAM = 16
_PLACES = 6
_DIGIT_BITS = 2.5
_DATE_DIGIT_BITS = 1.25
_HEX_DIGIT_BITS = 4.0

_KEPT = re.compile(r"[^\W_]+")
_PART = re.compile(
    r"(?P<date>(?<!\d)(?:19|20)\d\d-?\d\d-?\d\d)|(?P<hex>\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}\b)"
    r"|(?P<word>[^\W\d_]+)|(?P<digits>\d+)"
)
_QUOTED = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'")
_NAME = re.compile(r"\$\{?\w+\}?")
_ASSIGNED = re.compile(r"(?<!\w)\w{1,40}\s{0,4}\+?=\s{0,4}(?=[\"'])")
_COMMENT = re.compile(r"<!--.{0,400}?-->|</?\w{1,20}(?:\s[^<>]{0,200})?/?>|/\*.{0,400}?\*/")
_HALF_ROUND = str.maketrans("0123456789", "5678901234")
_ROT47 = str.maketrans({code: 33 + (code - 33 + 47) % 94 for code in range(33, 127)})


class Squeezed(NamedTuple):
    """A text's letters and digits, with the line each part of it stands on."""

    text: str
    begins: tuple[int, ...]  # where in `text` a line begins
    lines: tuple[int, ...]  # and its number
    grams: Mapping[str, int]  # where each run of 16 characters stands first

    def line_at(self, at: int) -> int:
        """Return the number of the line that a place in `text` is on."""
        return self.lines[bisect_right(self.begins, at) - 1] if self.lines else 1


def squeezed(lines: Lines) -> Squeezed:
    """Return the letters and digits of numbered lines."""
    parts, begins, numbers, at = [], [], [], 0
    for number, line in lines:
        part = "".join(_KEPT.findall(plain(line)))
        if part:
            parts.append(part)
            begins.append(at)
            numbers.append(number)
            at += len(part)
    whole = "".join(parts)
    places = range(len(whole) - _GRAM, -1, -1)
    grams = {whole[place : place + _GRAM]: place for place in places}
    return Squeezed(whole, tuple(begins), tuple(numbers), dict(reversed(grams.items())))


def squeezed_ways(lines: Lines) -> tuple[Squeezed, ...]:
    """Return the ways of reading a text's letters and digits alone."""
    bare = tuple((at, _COMMENT.sub("", line)) for at, line in lines)
    ways = [
        bare,
        tuple((at, line[::-1]) for at, line in bare),
        tuple((at, line[::-1]) for at, line in reversed(bare)),
        tuple((at, codecs.encode(line, "rot13")) for at, line in bare),
        tuple((at, codecs.encode(line, "rot13").translate(_HALF_ROUND)) for at, line in bare),
        tuple((at, line.translate(_ROT47)) for at, line in bare),
        tuple((at, _NAME.sub("", _between_quotes(line))) for at, line in bare),
        tuple((at, _ASSIGNED.sub("", _NAME.sub("", line))) for at, line in bare),
        tuple((at, counted(line)) for at, line in bare),
    ]
    return tuple(squeezed(way) for way in dict.fromkeys(ways))


def _between_quotes(line: str) -> str:
    return "".join("".join(pair) for pair in _QUOTED.findall(line))


class SqueezedAnswers:
    """The answers of one task without anything between their letters and digits."""

    def __init__(self, instruction: str, inputs: Sequence[str]) -> None:
        self._instruction = _squeeze(instruction)
        self._inputs = [_squeeze(text) for text in inputs]
        self._units: list[_Unit] = []
        self._grams: dict[str, list[tuple[int, int]]] = {}
        self._hashes: list[str] = []

    def add(self, text: str, *, told: bool, code: bool = False) -> None:
        """Keep an answer; `told` where the inputs may state it, `code` where it is a program."""
        parts = [match for line in text.split("\n") for match in _PART.finditer(plain(line))]
        chars, weights = [], []
        for match in parts:
            kept = "".join(_KEPT.findall(match.group()))
            if match["hex"] and kept not in self._hashes:
                self._hashes.append(kept)
            chars.append(kept)
            weights += [_bits_of(match, kept)] * len(kept)
        whole = "".join(chars)
        if len(whole) < _GRAM:
            return
        unit = _Unit(whole, (0.0, *itertools.accumulate(weights)), told, code)
        self._units.append(unit)
        for start in range(len(whole) - _GRAM + 1):
            places = self._grams.setdefault(whole[start : start + _GRAM], [])
            if len(places) < _PLACES:
                places.append((len(self._units) - 1, start))

    def within(self, way: Squeezed) -> Iterator[tuple[str, int]]:
        """Yield what a text holds of the answers, with the lines it begins on."""
        yield from self._runs(way)
        yield from self._short_names(way)

    def _runs(self, way: Squeezed) -> Iterator[tuple[str, int]]:
        end = 0
        for gram, at in way.grams.items():
            if at < end or gram not in self._grams:
                continue
            for number, start in self._grams[gram]:
                unit = self._units[number]
                run = _shared(way.text, at, unit.text, start)
                bits = unit.weights[start + len(run)] - unit.weights[start]
                if bits >= self._least(unit, run):
                    yield run, way.line_at(at)
                    end = max(end, at + len(run))

    def _short_names(self, way: Squeezed) -> Iterator[tuple[str, int]]:
        for name in self._hashes:
            short = name[:_HASH_CHARS]
            at = way.text.find(short)
            if at >= 0 and not any(short in text for text in (self._instruction, *self._inputs)):
                yield short, way.line_at(at)

    def _least(self, unit: "_Unit", run: str) -> float:
        if run in self._instruction:
            return float("inf")
        if unit.code:
            return _CODE_BITS
        stated = unit.told and any(run in text for text in self._inputs)
        return _TOLD_BITS if stated else min(_BITS, max(_WHOLE_BITS, _MOST * unit.weights[-1]))


class _Unit(NamedTuple):
    text: str
    weights: tuple[float, ...]  # bits of all characters before each
    told: bool
    code: bool


def _squeeze(text: str) -> str:
    return "".join("".join(_KEPT.findall(plain(line))) for line in text.split("\n"))


def _bits_of(match: re.Match[str], kept: str) -> float:
    if match["word"]:
        return word_bits(kept) / len(kept)
    if match["date"]:
        return _DATE_DIGIT_BITS
    return _HEX_DIGIT_BITS if match["hex"] else _DIGIT_BITS


def _shared(text: str, at: int, other: str, start: int) -> str:
    """Return what two texts have in common from two places on."""
    pairs = zip(
        itertools.islice(text, at, None), itertools.islice(other, start, None), strict=False
    )
    return "".join(here for here, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
