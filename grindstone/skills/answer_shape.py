"""An answer in another order: its rows, its columns and the bulk of its values.

Values of one row on one line are that row. Numbers of one column in their order are that
column, whatever stands between them at even distances. And a text that holds most of an
answer's telling values, or many of them, holds the answer, in whatever order and shape.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from grindstone.skills.tokens import TextReading, Token, Words, tokens_of

_ROW_TOKEN_BITS = 6.0  # beyond this a value of a row tells
_COLUMN_BITS = 30.0
_COLUMN_VALUES = 5
_COLUMNS = 8
_STRIDES = 4  # numbers from one value of a column to the next
_BULK_TOKEN_BITS = 9.0
_MOST = (0.75, 40.0)  # share and bits of an answer's telling values
_MANY = (0.25, 150.0)


class Rows:
    """Rows of an answer: several of one row's values on one line are that row."""

    def __init__(self) -> None:
        self._rows: list[tuple[frozenset[str], float]] = []
        self._by_word: defaultdict[str, list[int]] = defaultdict(list)
        self._told: defaultdict[str, set[int]] = defaultdict(set)

    def add(self, answer: str, bits: float) -> None:
        """Keep the rows of an answer, which tell from so many bits on."""
        for record in rows_of(answer):
            words = frozenset(
                token.text for token in tokens_of(record) if token.bits > _ROW_TOKEN_BITS
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
        """Return the values of one row that a line holds; None where they are too few."""
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


class Columns:
    """Columns of numbers: enough of one, in order, at even distances."""

    def __init__(self, told: Sequence[str]) -> None:
        self._told = told
        self._known: set[Words] | None = None
        self._stretches: set[Words] = set()

    def add(self, answer: str) -> None:
        """Keep the columns of numbers of an answer."""
        rows = [[t for t in tokens_of(row) if t.value is not None] for row in _table(answer)]
        for place in range(_COLUMNS):
            column = [row[place] for row in rows if len(row) > place]
            if len(column) >= _COLUMN_VALUES:
                self._stretches |= set(_column_stretches(column))

    def within(self, reading: TextReading) -> Iterator[tuple[Words, int]]:
        """Yield what a reading holds of a column, with its line."""
        for words, at in reading.once(column_stretches).items():
            if words in self._stretches and words not in self._stated():
                yield words, at

    def _stated(self) -> set[Words]:
        if self._known is None:
            told = (column_stretches(tokens_of(text)) for text in self._told)
            self._known = {words for each in told for words in each}
        return self._known


class Bulk:
    """Answers as the bare set of their telling values."""

    def __init__(self, told: Iterable[Token]) -> None:
        self._told = {token.text for token in told}
        self._answers: list[dict[str, float]] = []

    def add(self, unit: Iterable[Token]) -> None:
        """Keep an answer's values but for those that the instruction tells."""
        values = {
            token.text: token.bits
            for token in unit
            if token.bits > _BULK_TOKEN_BITS and token.text not in self._told
        }
        if sum(values.values()) >= _MOST[1]:
            self._answers.append(values)

    def within(self, tokens: Sequence[Token]) -> Iterator[tuple[Words, int]]:
        """Yield the values some tokens hold of an answer that they hold the bulk of."""
        lines: dict[str, int] = {}
        for token in tokens:
            lines.setdefault(token.text, token.line)
        for values in self._answers:
            held = values.keys() & lines.keys()
            bits = sum(values[word] for word in held)
            share = bits / sum(values.values())
            if any(share >= part and bits >= least for part, least in (_MOST, _MANY)):
                words = sorted(held, key=lambda word: (lines[word], word))
                yield tuple(words), lines[words[0]]


def rows_of(answer: str) -> Iterable[str]:
    """Return the rows of an answer: of JSON its objects and their items, else its lines."""
    try:
        return list(_json_rows(json.loads(answer)))
    except (ValueError, RecursionError):
        return answer.split("\n")


def _table(answer: str) -> Iterable[str]:
    """Return the rows of an answer, of JSON those of its outermost list or object."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return answer.split("\n")
    if isinstance(value, dict):
        return [f"{key} {item}" for key, item in value.items()]
    rows = value if isinstance(value, list) else []
    return [" ".join(map(str, row.values())) if isinstance(row, dict) else str(row) for row in rows]


def _json_rows(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _json_rows(item)
    elif isinstance(value, dict):
        scalars = {k: v for k, v in value.items() if not isinstance(v, dict | list)}
        if len(scalars) > 1:
            yield " ".join(str(item) for item in scalars.values())
        for key, item in scalars.items():
            yield f"{key} {item}"
        for item in value.values():
            yield from _json_rows(item)


def column_stretches(tokens: Sequence[Token]) -> dict[Words, int]:
    """Return what could be stretches of columns, with the lines they begin on."""
    found: dict[Words, int] = {}
    for numbers in _strides(tokens):
        for words, at in _column_stretches(numbers).items():
            found.setdefault(words, at)
    return found


def _strides(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    numbers = [token for token in tokens if token.value is not None]
    for width in range(1, _STRIDES + 1):
        for first in range(width):
            yield numbers[first::width]


def _column_stretches(numbers: Sequence[Token]) -> dict[Words, int]:
    """Return the shortest stretches that weigh enough and do not just count up or down."""
    found: dict[Words, int] = {}
    end, weight = 0, 0.0
    for start, token in enumerate(numbers):
        while end < len(numbers) and (weight < _COLUMN_BITS or end - start < _COLUMN_VALUES):
            weight += numbers[end].bits
            end += 1
        if weight < _COLUMN_BITS or end - start < _COLUMN_VALUES:
            break
        values = [each.value or 0.0 for each in numbers[start:end]]
        steps = {round(after - before, 6) for before, after in itertools.pairwise(values)}
        if len(steps) > 2:
            found.setdefault(tuple(each.text for each in numbers[start:end]), token.line)
        weight -= token.bits
    return found
