"""The leak guard: a skill must not hold what a task's tests look for.

What counts, and from where on (chosen against false alarms, each shown by a test):

- Opaque words (12 characters or more, letters and at least 4 digits: identifiers, hashes,
  canaries) anywhere in the tests' source.
- Text a test compares with: 4 characters or more, unless it is a common word, a type or an
  encoding. Text of several lines counts line by line from 12 characters on.
- Numbers a test compares with: from 3 significant digits on anywhere, unless round or
  common (ports, powers of two, years, status codes); of 2 digits, or with one decimal, on a
  line that presents them as a result (expected, answer, must be, equals, ==); of one digit
  never.
- Source lines: one line that asserts something, 16 characters or more; or three other
  lines of 24 characters or more; or 25 tokens in a row. A check that a file exists, an
  import, and a line of punctuation do not count.

Whatever the task's own instruction says is no secret.
"""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from grindstone.skills.literals import expected_literals

MIN_TEXT = 4
MIN_TEXT_LINE = 12
MIN_ASSERT_LINE = 16
MIN_LINE = 24
LINES_TO_TELL = 3
TOKENS_TO_TELL = 25

_WORDS = (
    "none null true false pass passed fail failed error errors warning info name names value",
    "values type types data file files path paths text line lines dict list index total count",
    "counts sum mean average date dates time year month week user users test tests item items",
    "result results output input status code message utf-8 utf8 ascii latin-1 json yaml csv",
    "html xlsx read write open close start stop main self int64 float64 object string number",
    "integer float bool boolean array python python3 bash root home build make success default",
    "unknown other missing empty done ready keys field fields column columns header headers",
    "rows record records content amount price quantity",
)
_ROUND_NUMBERS = (
    "100 127 128 200 201 204 255 256 301 302 304 360 365 366 400 401 403 404 409 422 429 443",
    "500 502 503 512 600 644 755 777 1000 1024 1440 1800 2000 2048 3000 3306 3600 4096 5000",
    "5432 6379 8000 8080 8192 8443 8888 9000 10000 16384 32768 60000 65535 65536 86400 100000",
    "1000000 0.001 0.0001 0.00001 0.000001",
)
_COMMON = frozenset(" ".join(_WORDS).split())
_ROUND = frozenset(Decimal(number) for number in " ".join(_ROUND_NUMBERS).split())
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d_]*(?:,\d{3})*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w]|\.\d)")
_RESULT = re.compile(
    r"expect|answer|(should|must|has to|will)\s+(be|equal|return|give|print)|equals?\b|==|"
    r"result\s*(is|:|=)|correct\s+(value|number|result)",
    re.IGNORECASE,
)
_OPAQUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{11,}")
_ASSERTS = re.compile(r"^(assert\b|self\.assert|\[\[? |test |if \[|grep |diff |cmp |expect)|==")
_EXISTS = re.compile(r"exists\(|is_file\(|is_dir\(|isfile\(|isdir\(|\[\[? ?!? ?-[efdsxr] ")
_IMPORT = re.compile(r"^(import|from|#!|#|set -|def |class |@|if __name__)")
_TOKEN = re.compile(r"\w+|[^\w\s]")


class Leak(NamedTuple):
    """Something a skill holds that it cannot have learned honestly."""

    kind: Literal["expected_value", "test_source"]
    excerpt: str  # for the ledger and the person; not for the evolver
    reason: str  # says what kind of thing it is without repeating it


def find_leaks(
    skill_text: str,
    *,
    test_sources: Mapping[str, str],
    expected: Collection[str] = (),
    instruction: str = "",
) -> tuple[Leak, ...]:
    """Return what a skill holds of a task's tests; empty when it is clean.

    Args:
        skill_text: SKILL.md, or any text the evolver wrote.
        test_sources: The tests' text files by name.
        expected: Further values the tests compare with, beside those their source shows.
        instruction: The task's text; what it says is no leak.
    """
    values = dict.fromkeys([*expected_literals(test_sources), *expected])
    found = [
        *_opaque(skill_text, test_sources, instruction),
        *_values(skill_text, tuple(values), instruction),
        *_source(skill_text, test_sources, instruction),
    ]
    return tuple({(leak.kind, leak.excerpt): leak for leak in reversed(found)}.values())[::-1]


def _opaque(skill: str, sources: Mapping[str, str], instruction: str) -> list[Leak]:
    secret = {
        word
        for text in sources.values()
        for word in _OPAQUE.findall(text)
        if sum(character.isdigit() for character in word) >= 4
        and any(character.isalpha() for character in word)
        and word not in instruction
    }
    shared = sorted(secret & set(_OPAQUE.findall(skill)))
    return [Leak("expected_value", word, "an identifier from the tests") for word in shared]


def _values(skill: str, values: tuple[str, ...], instruction: str) -> list[Leak]:
    found: list[Leak] = []
    shown = _numbers(skill)
    told = set(_numbers(instruction))
    plain, plain_instruction = _squeezed(skill), _squeezed(instruction)
    for value in values:
        number = _decimal(value)
        if number is not None:
            if number in told or number not in shown:
                continue
            if _telling(number) or _weakly(number) & any(map(_RESULT.search, shown[number])):
                found.append(Leak("expected_value", value, "a number the tests compare with"))
            continue
        for part in _parts(value):
            if part not in plain_instruction and _holds(plain, part):
                found.append(Leak("expected_value", part, "text the tests compare with"))
    return found


def _parts(value: str) -> list[str]:
    lines = [_squeezed(line) for line in value.splitlines() if line.strip()]
    if len(lines) > 1:
        return [line for line in lines if len(line) >= MIN_TEXT_LINE]
    return [
        line
        for line in lines
        if len(line) >= MIN_TEXT and line not in _COMMON and any(map(str.isalnum, line))
    ]


def _holds(text: str, part: str) -> bool:
    before = r"(?<!\w)" if part[0].isalnum() else ""
    after = r"(?!\w)" if part[-1].isalnum() else ""
    return re.search(before + re.escape(part) + after, text) is not None


def _numbers(text: str) -> dict[Decimal, list[str]]:
    """Numbers of a text with the lines they stand on."""
    found: dict[Decimal, list[str]] = {}
    for line in text.splitlines():
        for match in _NUMBER.finditer(line):
            number = _decimal(match.group())
            if number is not None:
                found.setdefault(number, []).append(line)
    return found


def _decimal(text: str) -> Decimal | None:
    """Return what a text is as a number; None where it is none, or of no size that is one.

    A hash such as `2672e8273026` is written like a number with an exponent.
    """
    if not _NUMBER.fullmatch(text.strip()):
        return None
    try:
        return Decimal(text.strip().replace(",", "").replace("_", "")).normalize()
    except ArithmeticError:
        return None


def _telling(number: Decimal) -> bool:
    whole = number == number.to_integral_value()
    year = whole and 1900 <= number <= 2100
    return _significant(number) >= 3 and abs(number) not in _ROUND and not year


def _weakly(number: Decimal) -> bool:
    return abs(number) not in _ROUND and (
        _significant(number) == 2 or abs(number) >= 10 or number != number.to_integral_value()
    )


def _significant(number: Decimal) -> int:
    """Digits without leading zeros; the zeros at the end of a whole number do not count."""
    return len(str(abs(int("".join(map(str, number.as_tuple().digits))))).rstrip("0")) or 1


def _source(skill: str, sources: Mapping[str, str], instruction: str) -> list[Leak]:
    known = {_squeezed(line) for line in instruction.splitlines()}
    written = {_squeezed(line) for line in skill.splitlines()} - known
    found: list[Leak] = []
    tokens = _grams(skill)
    told = _grams(instruction)
    for name, text in sorted(sources.items()):
        lines = dict.fromkeys(_squeezed(line) for line in text.splitlines())
        shared = [
            line
            for line in lines
            if line in written and not _IMPORT.match(line) and not _EXISTS.search(line)
        ]
        asserts = [
            line for line in shared if len(line) >= MIN_ASSERT_LINE and _ASSERTS.search(line)
        ]
        others = [line for line in shared if len(line) >= MIN_LINE and line not in asserts]
        found.extend(Leak("test_source", line, f"an assertion of {name}") for line in asserts)
        if len(others) >= LINES_TO_TELL:
            reason = f"{len(others)} lines of {name}"
            found.extend(Leak("test_source", line, reason) for line in others)
        elif not asserts and (run := min((_grams(text) & tokens) - told, default=None)):
            found.append(Leak("test_source", " ".join(run), f"a passage of {name}"))
    return found


def _grams(text: str) -> set[tuple[str, ...]]:
    kept = "\n".join(
        line for line in text.splitlines() if not re.match(r"import\b|from\b|#!", line.strip())
    )
    tokens = _TOKEN.findall(kept.lower())
    starts = range(len(tokens) - TOKENS_TO_TELL + 1)
    return {
        gram
        for at in starts
        if len(set(gram := tuple(tokens[at : at + TOKENS_TO_TELL]))) > TOKENS_TO_TELL // 3
    }


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())
