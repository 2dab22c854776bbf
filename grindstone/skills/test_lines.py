"""Lines of a task's tests found again in a skill.

A check that a file exists, an import, a main guard and a line of punctuation do not count,
nor does an assertion that any test might make, such as that an exit code is 0.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from grindstone.skills.tokens import tokens_of

_MIN_ASSERT_BITS = 16.0
_MIN_LINE = 24
_LINES_TO_TELL = 3
_TOKENS_TO_TELL = 25

_ASSERTS = re.compile(r"^(assert\b|self\.assert|\[\[? |test |if \[|grep |diff |cmp |expect)|==")
_EXISTS = re.compile(r"exists\(|is_file\(|is_dir\(|isfile\(|isdir\(|\[\[? ?!? ?-[efdsxr] ")
_IMPORT = re.compile(r"^(import|from|#!|#|set -|def |class |@|if __name__)")
_TOKEN = re.compile(r"\w+|[^\w\s]")

Gram = tuple[str, ...]


class Shared(NamedTuple):
    """What a text has in common with a test file."""

    excerpt: str
    reason: str
    line: int  # of the text, from 1 on


class TestLines:
    """The tests' source, made ready for comparing."""

    __test__ = False  # not a pytest class

    def __init__(self, sources: Mapping[str, str], instruction: str) -> None:
        known = {_squeezed(line) for line in instruction.split("\n")}
        told = set(_grams(instruction))
        self._asserts: dict[str, dict[str, None]] = {}
        self._others: dict[str, dict[str, None]] = {}
        self._passages: dict[str, set[Gram]] = {}
        for name, text in sorted(sources.items()):
            lines = dict.fromkeys(
                line
                for line in map(_squeezed, text.split("\n"))
                if line not in known and not _IMPORT.match(line) and not _EXISTS.search(line)
            )
            asserts = [line for line in lines if _ASSERTS.search(line) and _weighs(line)]
            self._asserts[name] = dict.fromkeys(asserts)
            self._others[name] = dict.fromkeys(
                line for line in lines if len(line) >= _MIN_LINE and not _ASSERTS.search(line)
            )
            self._passages[name] = set(_grams(text)) - told

    def within(self, text: str) -> Iterator[Shared]:
        """Yield what a text shares with each test file."""
        written: dict[str, int] = {}
        for at, line in enumerate(text.split("\n"), 1):
            written.setdefault(_squeezed(line), at)
        grams = _grams(text)
        for name, asserts in self._asserts.items():
            shared = [line for line in asserts if line in written]
            for line in shared:
                yield Shared(line, f"an assertion of {name}", written[line])
            others = [line for line in self._others[name] if line in written]
            if len(others) >= _LINES_TO_TELL:
                for line in others:
                    yield Shared(line, f"{len(others)} lines of {name}", written[line])
            elif not shared and (run := min(self._passages[name] & grams.keys(), default=None)):
                yield Shared(" ".join(run), f"a passage of {name}", grams[run])


def _weighs(line: str) -> bool:
    return sum(token.bits for token in tokens_of(line)) >= _MIN_ASSERT_BITS


@lru_cache(maxsize=4)  # one text is asked of many tasks' tests
def _grams(text: str) -> Mapping[Gram, int]:
    """Return the runs of 25 tokens that are no mere repetition, with the lines they begin on."""
    tokens = [
        (token, at)
        for at, line in enumerate(text.split("\n"), 1)
        if not re.match(r"import\b|from\b|#!", line.strip())
        for token in _TOKEN.findall(line.lower())
    ]
    found: dict[Gram, int] = {}
    for start in range(len(tokens) - _TOKENS_TO_TELL + 1):
        gram = tuple(token for token, _ in tokens[start : start + _TOKENS_TO_TELL])
        if len(set(gram)) > _TOKENS_TO_TELL // 3:
            found.setdefault(gram, tokens[start][1])
    return found


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())
