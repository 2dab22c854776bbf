"""The leak guard: a skill must not hold what a task's tests look for.

A text is compared as its reader takes it in (`tokens.py`), so a value is the same value in
any readable spelling. What is looked for:

- Values the tests compare with, from their source, from the verifier's words, or given.
- What a right solution leaves and prints, where that is known: any stretch of it that could
  not be hit on by chance, several values of one of its records on one line, and long
  passages even where the task's own inputs state them.
- Numbers that enclose such a value, or are that value rounded.
- Lines of the tests' source: one that asserts something, or three others, or 25 tokens in a row.

How much is too much is a question of chance (`_threshold`): a stretch counts from about
13 bits on, a number of four digits or a rare word; where many values would do, from as many
bits more as there are more of them. Less than that counts on a line that presents it as a
result. What the task's own instruction says is no secret; what its inputs say is none in a
large answer, which is made of them, but is one in a small answer, which selects from them.
"""

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from grindstone.skills.literals import expected_literals
from grindstone.skills.test_lines import TestLines
from grindstone.skills.tokens import Token, readings, tokens_of

_BITS = 13.0
_CANDIDATES = 32  # from so many values on, the threshold rises
_BITS_STEP = 2.0
_CODE_BITS = 48.0
_PASSAGE_BITS = 100.0
_RECORD_BITS = 6.0  # beyond the threshold: its values need not stand together
_PRESENTED_BITS = 6.0
_SMALL_ANSWER = 64  # tokens
_ENCLOSING_BITS = 9.0
_ENCLOSING_SHARE = 0.01
_ENCLOSING_GAP = 4
_TELLING_TOKEN_BITS = 6.0

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

Words = tuple[str, ...]

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
        inputs = [tokens_of(text) for text in known.inputs.values()] if large else []
        self._lines = TestLines(known.test_sources, known.instruction)
        self._stretches: defaultdict[float, dict[Words, str]] = defaultdict(dict)
        self._presented: dict[Words, str] = {}
        self._records = _Records()
        self._values: list[float] = []
        told_once = _Told([told])
        self._add(literals, told_once, COMPARED, _threshold(len(literals)))
        self._add(small, told_once, ANSWER, _threshold(len(small)))
        told_all = _Told([told, *inputs])
        for name, unit in large.items():
            bits = _CODE_BITS if _CODE.search(name) else None
            threshold = self._add([unit], told_all, ANSWER, bits)
            self._add([unit], told_once, ANSWER, _PASSAGE_BITS)
            if bits is None:
                self._records.add(known.answers[name], threshold + _RECORD_BITS)
        self._records.without(known.instruction, *known.inputs.values())

    def leaks(self, text: str) -> tuple[Leak, ...]:
        """Return what a text holds of them, in the order of its lines."""
        found = [Leak("test_source", *each) for each in self._lines.within(text)]
        for tokens in readings(text):
            found += self._within(tokens, text)
        return tuple(sorted(dict.fromkeys(found), key=lambda leak: leak.line))

    def _add(
        self, units: Sequence[list[Token]], told: "_Told", reason: str, bits: float | None = None
    ) -> float:
        """Keep every stretch of some units that nobody was told; return what a stretch weighs."""
        if bits is None:
            fresh = {words for unit in units for words in _stretches(unit, _BITS)} - told.at(_BITS)
            bits = _threshold(len(fresh))
        known = told.at(bits)
        for unit in units:
            fresh = {words for words in _stretches(unit, bits) if words not in known}
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
                [rounded, *_] = tokens_of(f"{token.value:.{decimals}f}") or [token]
                if rounded.bits >= bits:
                    self._stretches[bits][(rounded.text,)] = reason

    def _within(self, tokens: Sequence[Token], text: str) -> Iterator[Leak]:
        for bits, secret in self._stretches.items():
            whole: Words = ()
            for words, at in _stretches(tokens, bits).items():
                if words in secret and whole[-len(words) :] != words:
                    yield Leak("expected_value", " ".join(words), secret[words], at)
                    whole = words
        yield from self._enclosing(tokens)
        by_line: defaultdict[int, list[Token]] = defaultdict(list)
        for token in tokens:
            by_line[token.line].append(token)
        lines = text.split("\n")
        for at, held in by_line.items():
            words = tuple(token.text for token in held)
            if (shared := self._records.on(held)) is not None:
                yield Leak("expected_value", " ".join(shared), ANSWER, at)
            line = lines[at - 1] if at <= len(lines) else ""
            yield from self._shown_as_result(line, words, at)

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


class _Told:
    """Stretches of what the agent is told, by what they weigh."""

    def __init__(self, texts: Sequence[list[Token]]) -> None:
        self._texts = texts
        self._by_bits: dict[float, set[Words]] = {}

    def at(self, bits: float) -> set[Words]:
        if bits not in self._by_bits:
            self._by_bits[bits] = {w for text in self._texts for w in _stretches(text, bits)}
        return self._by_bits[bits]

    def whole(self, words: Words) -> bool:
        return any(_contains(tuple(token.text for token in text), words) for text in self._texts)


class _Records:
    """Rows of an answer: several of one row's values on one line are that row."""

    def __init__(self) -> None:
        self._rows: list[tuple[frozenset[str], float]] = []
        self._by_word: defaultdict[str, list[int]] = defaultdict(list)
        self._told: defaultdict[str, set[int]] = defaultdict(set)

    def add(self, answer: str, bits: float) -> None:
        for record in _records_of(answer):
            words = frozenset(
                token.text for token in tokens_of(record) if token.bits > _TELLING_TOKEN_BITS
            )
            if len(words) > 1:
                for word in words:
                    self._by_word[word].append(len(self._rows))
                self._rows.append((words, bits))

    def without(self, *told: str) -> None:
        """Let lines of what the agent is told say what they say."""
        lines = (line for text in told for line in text.split("\n"))
        for at, line in enumerate(lines):
            for token in tokens_of(line):
                if token.text in self._by_word:
                    self._told[token.text].add(at)

    def on(self, line: Sequence[Token]) -> Words | None:
        weights = {token.text: token.bits for token in line}
        held: defaultdict[int, set[str]] = defaultdict(set)
        for word in weights.keys() & self._by_word.keys():
            for row in self._by_word[word]:
                held[row].add(word)
        for row, words in sorted(held.items()):
            bits = self._rows[row][1]
            weighs = len(words) > 1 and sum(weights[word] for word in words) >= bits
            if weighs and not set.intersection(*(self._told[word] for word in words)):
                return tuple(sorted(words))
        return None


def _records_of(answer: str) -> Iterable[str]:
    try:
        found = list(_json_records(json.loads(answer)))
    except (ValueError, RecursionError):
        return answer.split("\n")
    return found


def _json_records(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _json_records(item)
    elif isinstance(value, dict):
        scalars = {k: v for k, v in value.items() if not isinstance(v, dict | list)}
        if len(scalars) > 1:
            yield " ".join(str(item) for item in scalars.values())
        for key, item in scalars.items():
            yield f"{key} {item}"
        for item in value.values():
            yield from _json_records(item)


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


def _stretches(tokens: Sequence[Token], bits: float) -> dict[Words, int]:
    """Return, from each token on, the shortest stretch that weighs enough, with its first line.

    Two texts that share a run of tokens share the stretches that lie within it: where a
    stretch ends depends on its own tokens alone.
    """
    found: dict[Words, int] = {}
    end, weight = 0, 0.0
    for start, token in enumerate(tokens):
        while weight < bits and end < len(tokens):
            weight += tokens[end].bits
            end += 1
        if weight < bits:
            break
        found.setdefault(tuple(each.text for each in tokens[start:end]), token.line)
        weight -= token.bits
    return found


def _threshold(values: int) -> float:
    """Return the bits from which a stretch is no chance, where so many values would do."""
    more = math.log2(max(values / _CANDIDATES, 1.0))
    return _BITS + math.ceil(more / _BITS_STEP) * _BITS_STEP


def _contains(words: Words, part: Words) -> bool:
    width = len(part)
    return any(words[at : at + width] == part for at in range(len(words) - width + 1))
