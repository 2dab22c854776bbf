r"""Whether a pattern may take for ever over a text: a repeat of a repeat that nothing parts.

`(a+)+`, `(\w+\s?)*` and `(.*,)*` split a run of letters in more ways than there are seconds;
`(\w+\s)*` parts its repeats by a space, and does not. Which of several alternatives is meant, as in
`(a|aa)+$`, is not looked into: for that a pattern is tried over texts that are hard for its like.
"""

import re
from collections.abc import Iterator
from typing import Any

MANY = 12
"""As many repeats as are no small number of them."""

TIMES = 60
"""As often a repeat is spelled in a text that is to be hard."""

SAMPLES = 8
"""Texts made of one part of a pattern, at most."""


def endless(pattern: str) -> bool:
    """Tell whether a pattern repeats a repeat that nothing parts.

    Raises:
        re.error: It is no pattern.
    """
    return _endless(re._parser.parse(pattern))  # type: ignore[attr-defined]


def _endless(parsed: Any) -> bool:
    for kind, what in parsed:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT") and what[1] > MANY and _unparted(what[2]):
            return True
        if any(_endless(each) for each in _inside(name, what)):
            return True
    return False


def _unparted(body: Any) -> bool:
    """Tell whether a body repeats something, and nothing else in it must be there."""
    repeats, parts = False, False
    for kind, what in body:
        name = str(kind)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            if what[1] > MANY:
                repeats = True
                anything = [str(each) for each, _ in what[2]] == ["ANY"]
                if anything:
                    return True  # it runs over whatever parts it
            elif what[0] and not _unparted(what[2]):
                parts = True
        elif name == "SUBPATTERN":
            if _unparted(what[-1]):
                repeats = True
            else:
                parts = True
        elif name == "BRANCH":
            if any(_unparted(each) for each in what[1]):
                return True
            parts = True
        elif name not in ("AT", "ASSERT", "ASSERT_NOT"):
            parts = True
    return repeats and not parts


def _inside(name: str, what: Any) -> list[Any]:
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        return [what[2]]
    if name == "SUBPATTERN":
        return [what[-1]]
    if name == "BRANCH":
        return list(what[1])
    return [what[1]] if name in ("ASSERT", "ASSERT_NOT") else []


def hard_texts(pattern: str) -> list[str]:
    """Return short texts over which a pattern has a hard time, where it is one of those that have.

    Each has what comes before a repeat, the repeat many times, something that is in no pattern, and
    what comes after, without which some would not be looked at.

    Raises:
        re.error: It is no pattern.
    """
    parsed = list(re._parser.parse(pattern))  # type: ignore[attr-defined]
    return list(dict.fromkeys(_hard(parsed)))


def _hard(parsed: list[Any]) -> Iterator[str]:
    for at, (kind, what) in enumerate(parsed):
        before, after = _samples(parsed[:at])[0], _samples(parsed[at + 1 :])[0]
        name = str(kind)
        many = name in ("MAX_REPEAT", "MIN_REPEAT") and what[1] > MANY
        words = _samples(list(what[2])) if many else []
        for word in dict.fromkeys([*words, "".join(words)]):
            yield f"{before}{word * TIMES}\0{after}"
        for each in _inside(name, what):
            yield from (f"{before}{text}{after}" for text in _hard(list(each)))


def _samples(parsed: list[Any]) -> list[str]:
    """Return texts that a part of a pattern would match, one at least, for each of its ways."""
    found = [""]
    for kind, what in parsed:
        found = [one + more for one in found for more in _spelled(str(kind), what)][:SAMPLES]
    return found


def _spelled(name: str, what: Any) -> list[str]:
    """Return texts that one piece of a pattern would match; an empty one where none is known."""
    ways = {
        "LITERAL": lambda: [chr(what)],
        "ANY": lambda: ["a"],
        "IN": lambda: [_of_class(what)],
        "SUBPATTERN": lambda: _samples(list(what[-1])),
        "BRANCH": lambda: [each for way in what[1] for each in _samples(list(way))][:SAMPLES],
    }
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [each * max(1, min(what[0], TIMES)) for each in _samples(list(what[2]))]
    return ways.get(name, lambda: [""])()


def _of_class(members: list[Any]) -> str:
    """Return a letter of a class, one that other classes are likely to have as well."""
    written = {str(kind): value for kind, value in members}
    compiled = [letter for letter in "a1 .-_,;:/" if any(_holds(letter, *each) for each in members)]
    if "NEGATE" in written:
        left = [letter for letter in "a1 .-_,;:/" if letter not in compiled]
        return left[0] if left else "\u00e9"
    if compiled:
        return compiled[0]
    if "RANGE" in written:
        return chr(written["RANGE"][0])
    return chr(written["LITERAL"]) if "LITERAL" in written else "a"


def _holds(letter: str, kind: Any, value: Any) -> bool:
    name = str(kind)
    if name == "LITERAL":
        return bool(ord(letter) == value)
    if name == "RANGE":
        return bool(value[0] <= ord(letter) <= value[1])
    if name == "CATEGORY":
        word = str(value).removeprefix("CATEGORY_")
        wanted = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[word.removeprefix("NOT_")]
        return bool(re.match(wanted, letter)) != word.startswith("NOT_")
    return False
