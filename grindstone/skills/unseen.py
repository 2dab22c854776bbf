"""Characters that a reader of a text does not see, and a model does."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Between letters of scripts that join, and in emoji, they say what is seen."""
_SELECTORS = range(0xE0100, 0xE01F0)
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_SPACES = "\n\r\t"
NAMED = 3


def unseen_characters(text: str) -> tuple[str, ...]:
    """Return where a text holds what nobody sees, a sentence each; empty where nowhere.

    That is what could carry words past whoever reads it: control and format characters (those
    that turn a line round among them), tags, selectors of variants, letters that are blank, and
    characters of private use. A byte order mark at the very beginning is a matter of spelling.
    """
    found = [
        f"line {number} holds characters that nobody sees ({len(hidden)}, first U+{hidden[0]:04X})"
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1)
        if (hidden := [ord(each) for at, each in enumerate(line) if _is_unseen(line, at)])
    ]
    more = len(found) - NAMED
    return (*found[:NAMED], *([f"{more} more lines do likewise"] if more > 0 else []))


def _is_unseen(line: str, at: int) -> bool:
    letter = line[at]
    if letter.isascii():
        return not letter.isprintable() and letter not in _SPACES
    if letter in _JOINERS:
        around = line[max(0, at - 1) : at] + line[at + 1 : at + 2]
        return len(around) < 2 or around.isascii()
    return (
        unicodedata.category(letter) in ("Cf", "Cc", "Co", "Cs", "Cn")
        or ord(letter) in _SELECTORS
        or letter in _FILLERS
    )
