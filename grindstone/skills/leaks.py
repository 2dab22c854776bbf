"""The leak guard: a skill must not hold what a task's tests look for.

A text is compared as its reader takes it in (`tokens.py`), so a value is the same value in
any readable spelling; what stands encoded in it is read too (`encodings.py`), and so are its
letters and digits with nothing between (`squeezed.py`). What is looked for:

- Values the tests compare with, from their source, from the verifier's words, or given.
- What a right solution leaves and prints, where that is known: any stretch of it that could
  not be hit on by chance, several values of one of its records on one line, and long
  passages even where the task's own inputs state them.
- Its columns, and most of its values, in whatever order (`answer_shape.py`).
- Numbers that enclose such a value, or are that value rounded or cut off.
- Lines of the tests' source: one that asserts something, or three others, or 25 tokens in a row.

How much is too much is a question of chance (`_threshold`): a stretch counts from about
13 bits on, a number of four digits or a rare word; where many values would do, from as many
bits more as there are more of them. Less than that counts on a line that presents it as a
result. What the task's own instruction says is no secret; what its inputs say is none in a
large answer, which is made of them, but is one in a value that was selected from them.
"""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from grindstone.skills.answer_shape import Bulk, Columns, Rows
from grindstone.skills.encodings import decoded, lines_of
from grindstone.skills.literals import expected_literals
from grindstone.skills.squeezed import Squeezed, SqueezedAnswers, squeezed_ways
from grindstone.skills.test_lines import TestLines
from grindstone.skills.tokens import TextReading, Token, Words, readings, stretches, tokens_of

_BITS = 13.0
_CANDIDATES = 32  # from so many values on, the threshold rises
_BITS_STEP = 2.0
_CODE_BITS = 48.0
_PASSAGE_BITS = 100.0
_RECORD_BITS = 6.0  # beyond the threshold: its values need not stand together
_PRESENTED_BITS = 6.0
_SMALL_ANSWER = 64  # tokens
_SELECTION = 8  # tokens: a value that was found out, and no list made of what the inputs state
_STATED_BITS = 10.0
_ENCLOSING_BITS = 9.0
_ENCLOSING_SHARE = 0.01
_ENCLOSING_GAP = 4

_CODE = re.compile(
    r"\.(py|sh|js|mjs|ts|tsx|jsx|c|h|cc|cpp|hpp|rs|go|java|rb|php|pl|lua|r|sql|css)$", re.I
)
_RESULT = re.compile(
    r"expect|answer|(should|must|has to|will)\s+(be|equal|return|give|print)|equals?\b|==|"
    r"result\s*(is|:|=)|correct\s+(value|number|result)|solution\s*(is|:|=)",
    re.IGNORECASE,
)
_OPAQUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{11,}")
_OPAQUE_DIGITS = 4
_QUOTED = re.compile(r"\"([^\"\n]{2,200})\"|'([^'\n]{2,200})'|`([^`\n]{2,200})`")

COMPARED = "a value the tests compare with"
ANSWER = "a part of the right answer"
ENCLOSES = "numbers that enclose a value of the right answer"


class Leak(NamedTuple):
    """Something a skill holds that it cannot have learned honestly."""

    kind: Literal["expected_value", "test_source"]
    excerpt: str  # for the ledger and the person; not for the evolver
    reason: str  # says what kind of thing it is without repeating it
    line: int  # of the skill, from 1 on


class Known(NamedTuple):
    """What is known of one task's answers."""

    test_sources: Mapping[str, str]  # the tests' text files by name
    expected: Collection[str] = ()  # further values the tests compare with
    answers: Mapping[str, str] = {}  # what a right solution leaves and prints, by name
    instruction: str = ""  # what it says is no leak
    inputs: Mapping[str, str] = {}  # what the agent finds, by name


class Secrets:
    """What no skill may hold of one task; made once, asked for many texts."""

    def __init__(self, known: Known) -> None:
        told = tokens_of(known.instruction)
        compared = [*expected_literals(known.test_sources), *_opaque(known.test_sources)]
        literals = _units([*compared, *known.expected])
        units = {name: tokens_of(text) for name, text in known.answers.items()}
        small = [
            unit
            for name, unit in units.items()
            if len(unit) <= _SMALL_ANSWER and not _CODE.search(name)
        ]
        large = {name: unit for name, unit in units.items() if unit not in small}
        inputs = [tokens_of(text) for text in known.inputs.values()]
        self._lines = TestLines(known.test_sources, known.instruction)
        self._stretches: defaultdict[float, dict[Words, str]] = defaultdict(dict)
        self._presented: dict[Words, str] = {}
        self._rows = Rows()
        self._columns = Columns([known.instruction, *known.inputs.values()])
        self._bulk = Bulk(told)
        self._squeezed = SqueezedAnswers(known.instruction, list(known.inputs.values()))
        self._values: list[float] = []
        told_once = _Told([told])
        self._add(literals, told_once, COMPARED, _threshold(len(literals)))
        threshold = _threshold(len(small))
        self._add([unit for unit in small if len(unit) <= _SELECTION], told_once, ANSWER, threshold)
        told_all = _Told([told, *inputs])
        rest = [unit for unit in small if len(unit) > _SELECTION]
        self._add(rest, _Told([told], words_of=inputs), ANSWER, threshold)
        self._add(rest, told_once, ANSWER, threshold + _STATED_BITS)
        for name, unit in large.items():
            bits = _CODE_BITS if _CODE.search(name) else None
            threshold = self._add([unit], told_all, ANSWER, bits)
            self._add([unit], told_once, ANSWER, _PASSAGE_BITS)
            if bits is None:
                self._rows.add(known.answers[name], threshold + _RECORD_BITS)
        self._rows.without(known.instruction, *known.inputs.values())
        self._bulk.add(token for unit in literals for token in unit)
        for value in dict.fromkeys([*compared, *known.expected]):
            self._squeezed.add(value, told=False)
        for name, text in known.answers.items():
            code = _CODE.search(name) is not None
            self._squeezed.add(text, told=name in large, code=code)
            if not code:
                self._columns.add(text)
                self._bulk.add(units[name])

    def leaks(self, text: str) -> tuple[Leak, ...]:
        """Return what a text holds of them, in the order of its lines."""
        found = [Leak("test_source", *each) for each in self._lines.within(text)]
        read = _read(text)
        for way in read.squeezed:
            for excerpt, at in self._squeezed.within(way):
                found.append(Leak("expected_value", excerpt, ANSWER, at))
        for reading in read.readings:
            found += self._within(reading)
        return tuple(sorted(dict.fromkeys(found), key=lambda leak: leak.line))

    def _add(
        self, units: Sequence[list[Token]], told: "_Told", reason: str, bits: float | None = None
    ) -> float:
        """Keep every stretch of some units that nobody was told; return what a stretch weighs."""
        if bits is None:
            fresh = {words for unit in units for words in stretches(unit, _BITS)} - told.at(_BITS)
            bits = _threshold(len(fresh))
        known = told.at(bits)
        for unit in units:
            fresh = {words for words in stretches(unit, bits) if words not in known}
            self._stretches[bits].update(dict.fromkeys(fresh, reason))
            self._keep_numbers(unit, fresh, bits, reason)
            whole = tuple(token.text for token in unit)
            weight = sum(token.bits for token in unit)
            if _PRESENTED_BITS <= weight < bits and not told.whole(whole):
                self._presented[whole] = reason
        return bits

    def _keep_numbers(self, unit: list[Token], fresh: set[Words], bits: float, reason: str) -> None:
        for token in unit:
            if token.value is None or (token.text,) not in fresh:
                continue
            self._values.append(token.value)
            for decimals in range(4):
                cut = math.trunc(token.value * 10**decimals) / 10**decimals
                for near in (token.value, cut):
                    [rounded, *_] = tokens_of(f"{near:.{decimals}f}") or [token]
                    if rounded.bits >= bits:
                        self._stretches[bits][(rounded.text,)] = reason

    def _within(self, reading: TextReading) -> Iterator[Leak]:
        tokens = reading.tokens
        for bits, secret in self._stretches.items():
            whole: Words = ()
            for words, at in reading.stretches(bits).items():
                if words in secret and whole[-len(words) :] != words:
                    yield Leak("expected_value", " ".join(words), secret[words], at)
                    whole = words
        for words, at in (*self._columns.within(reading), *self._bulk.within(tokens)):
            yield Leak("expected_value", " ".join(words), ANSWER, at)
        yield from self._enclosing(tokens)
        for at, held in reading.by_line().items():
            if (shared := self._rows.on(held)) is not None:
                yield Leak("expected_value", " ".join(shared), ANSWER, at)
            words = tuple(token.text for token in held)
            yield from self._shown_as_result(reading.lines[at], words, at)

    def _shown_as_result(self, line: str, words: Words, at: int) -> Iterator[Leak]:
        if not self._presented:
            return
        quoted = {
            tuple(token.text for token in tokens_of("".join(match.groups(""))))
            for match in _QUOTED.finditer(line)
        }
        presents = _RESULT.search(line) is not None
        for secret, reason in self._presented.items():
            textual = any(not word[0].isdigit() for word in secret)
            if (presents and _contains(words, secret)) or (textual and secret in quoted):
                yield Leak("expected_value", " ".join(secret), reason, at)

    def _enclosing(self, tokens: Sequence[Token]) -> Iterator[Leak]:
        if not self._values:
            return
        numbers = [
            (index, token)
            for index, token in enumerate(tokens)
            if token.value is not None and token.bits >= _ENCLOSING_BITS
        ]
        for (index, low), (other, high) in itertools.pairwise(numbers):
            assert low.value is not None
            assert high.value is not None
            small, large = sorted((low.value, high.value))
            if other - index > _ENCLOSING_GAP or small == large:
                continue
            if any(
                small <= value <= large and large - small <= _ENCLOSING_SHARE * abs(value)
                for value in self._values
            ):
                yield Leak("expected_value", f"{low.text} {high.text}", ENCLOSES, low.line)


def find_leaks(
    skill_text: str,
    *,
    test_sources: Mapping[str, str],
    expected: Collection[str] = (),
    instruction: str = "",
    answers: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> tuple[Leak, ...]:
    """Return what a skill holds of a task's tests and answers; empty when it is clean.

    Args:
        skill_text: SKILL.md, or any text the evolver wrote.
        test_sources: The tests' text files by name.
        expected: Further values the tests compare with, beside those their source shows.
        instruction: The task's text; what it says is no leak.
        answers: What a right solution leaves and prints, by name.
        inputs: What the agent finds in its sandbox, by name.
    """
    known = Known(test_sources, expected, answers or {}, instruction, inputs or {})
    return Secrets(known).leaks(skill_text)


class _Read(NamedTuple):
    """A text in all the ways it is read, with what stands encoded in it."""

    readings: Sequence[TextReading]
    squeezed: Sequence[Squeezed]


@lru_cache(maxsize=4)  # one text is asked of many tasks
def _read(text: str) -> _Read:
    written = lines_of(text)
    versions = dict.fromkeys((written, *decoded(written)))
    return _Read(
        [reading for lines in versions for reading in readings(lines)],
        [way for lines in versions for way in squeezed_ways(lines)],
    )


class _Told:
    """Stretches of what the agent is told, by what they weigh."""

    def __init__(self, texts: Sequence[list[Token]], words_of: Sequence[list[Token]] = ()) -> None:
        self._texts = texts
        self._words_of = words_of  # texts of which no number is told
        self._by_bits: dict[float, set[Words]] = {}

    def at(self, bits: float) -> set[Words]:
        if bits not in self._by_bits:
            found = {words for text in self._texts for words in stretches(text, bits)}
            for words in (words for text in self._words_of for words in stretches(text, bits)):
                if not any(word[0].isdigit() for word in words):
                    found.add(words)
            self._by_bits[bits] = found
        return self._by_bits[bits]

    def whole(self, words: Words) -> bool:
        return any(_contains(tuple(token.text for token in text), words) for text in self._texts)


def _opaque(sources: Mapping[str, str]) -> list[str]:
    """Return identifiers, hashes and canaries: no test holds one that it has no use for."""
    return [
        word
        for text in sources.values()
        for word in _OPAQUE.findall(text)
        if sum(character.isdigit() for character in word) >= _OPAQUE_DIGITS
        and any(character.isalpha() for character in word)
    ]


def _units(values: Iterable[str]) -> list[list[Token]]:
    """Return the tokens of each value."""
    return [unit for value in dict.fromkeys(values) if (unit := tokens_of(value))]


def _threshold(values: int) -> float:
    """Return the bits from which a stretch is no chance, where so many values would do."""
    more = math.log2(max(values / _CANDIDATES, 1.0))
    return _BITS + math.ceil(more / _BITS_STEP) * _BITS_STEP


def _contains(words: Words, part: Words) -> bool:
    width = len(part)
    return any(words[at : at + width] == part for at in range(len(words) - width + 1))
