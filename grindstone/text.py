"""Text for people: counts with their nouns, shortening that says so; what a text is known by."""

import hashlib
import re
import unicodedata
from datetime import UTC, datetime

SHOWN_CHARS = 10_000
"""Most characters of one output that a model is shown; the trajectory keeps more."""


def shorten(text: str, limit: int = SHOWN_CHARS, *, head_share: float = 0.5) -> str:
    """Return the text, or its beginning and end around a note on what was left out.

    Args:
        text: What may be too long.
        limit: Most characters of it that are kept.
        head_share: How much of these is the beginning, in [0, 1].
    """
    if len(text) <= limit:
        return text
    head = int(limit * head_share)
    tail = limit - head
    left_out = len(text) - limit
    return f"{text[:head]}\n[… {left_out} characters left out …]\n{text[len(text) - tail :]}"


_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_ORDERS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def obeyed_by_none(text: str) -> str:
    r"""Return a text with what a terminal would obey, or turn round, written out as `\x1b` is.

    Line feeds and tabs stay.
    """
    return _ORDERS.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(order: re.Match[str]) -> str:
    number = ord(order[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def one_line(text: str) -> str:
    """Return a text of others for a place in a line of ours, which it cannot end."""
    return " ".join(text.split())


def inert(text: str) -> str:
    """Return a text of others for a page of Markdown, which loads and draws nothing for it.

    Pictures would tell another machine who reads the page, and so would HTML.
    """
    return _TAG.sub("&lt;", text.replace("![", "!\\["))


def code_span(text: str) -> str:
    """Return a text of others as code in a line of Markdown, which it cannot leave."""
    inner = one_line(text)
    longest = max((len(run) for run in re.findall(r"`+", inner)), default=0)
    if not longest:
        return f"`{inner}`"
    fence = "`" * (longest + 1)
    return f"{fence} {inner} {fence}"


def count(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is one."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def minute(at: datetime) -> str:
    """Return a time as people read it, in UTC; who shows it says so once, in the column's head."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def second(at: datetime) -> str:
    """Return a time with its seconds, in UTC as `minute`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def quoted(text: str) -> str:
    """Return a text of others with a mark before each line, so that none can pass for ours.

    What ends a line anywhere, a form feed or a line separator too, begins a marked one here.
    """
    return "\n".join(f"| {line}" for line in text.splitlines())


def fingerprint_of(text: str) -> str:
    """Return the SHA-256 of a text's words, whatever stands between them and in whichever case."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return hashlib.sha256(" ".join(words).encode()).hexdigest()
