"""Patterns that people write for rules, held against what agents write, for so long and no longer.

They are written in the words of `re`, and matched by `regex`, which reads those words and can be
stopped: whatever the pattern is and whatever an agent wrote for it, a check comes to its end. What
was stopped is undecided. The seconds are of this process's own work, not of the clock on the wall,
so that a busy machine decides as an idle one does.
"""

import re
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

from grindstone.graduation.constitution.endless import endless, hard_texts

TEXT_S = 1.0
"""Seconds that one pattern may take over one text."""

RULE_S = 10.0
"""Seconds that one rule may take over an episode."""

TRIAL_S = 0.5
"""Seconds that a pattern may take over a short text made to be hard for it."""

PATTERN_CHARS = 2_000
"""A longer pattern can take minutes to be prepared."""


class OverlongError(Exception):
    """A pattern took longer over a text than it may; says which."""


class Looking:
    """Looks for the patterns of one rule in one episode, in any case of letters."""

    def __init__(self) -> None:
        self._left_s = RULE_S

    def search(self, pattern: str, text: str) -> "regex.Match[str] | None":
        """Return the first place where a pattern is found.

        Raises:
            OverlongError: It took too long.
        """
        return self._timed(pattern, "search", text)

    def fullmatch(self, pattern: str, text: str) -> "regex.Match[str] | None":
        """Return the match of a pattern with a whole text.

        Raises:
            OverlongError: It took too long.
        """
        return self._timed(pattern, "fullmatch", text)

    def every(self, pattern: str, text: str) -> "Iterator[regex.Match[str]]":
        """Yield each place where a pattern is found.

        Raises:
            OverlongError: It took too long.
        """
        matches = self._timed(pattern, "finditer", text)
        while (found := self._counted(pattern, lambda: next(matches, None))) is not None:
            yield found

    def _timed(self, pattern: str, way: str, text: str) -> Any:
        seconds = min(TEXT_S, self._left_s)
        look = getattr(_compiled(pattern), way)
        return self._counted(pattern, lambda: look(text, timeout=seconds))

    def _counted(self, pattern: str, look: Any) -> Any:
        begun = time.process_time()
        try:
            if self._left_s <= 0:
                raise TimeoutError
            return look()
        except TimeoutError:
            raise OverlongError(f"/{pattern}/ takes too long over what was written") from None
        finally:
            self._left_s -= time.process_time() - begun


def refuse_unusable(pattern: str) -> None:
    """Refuse what is no pattern, or one that may take for ever.

    Raises:
        ValueError: It cannot be used; says why.
    """
    if len(pattern) > PATTERN_CHARS:
        raise ValueError(f"is a pattern of {len(pattern)} characters, at most {PATTERN_CHARS}")
    try:
        re.compile(pattern)
        compiled, repeats, trials = _compiled(pattern), endless(pattern), hard_texts(pattern)
    except (re.error, regex.error, OverflowError) as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    except RecursionError:
        raise ValueError(f"{pattern[:30]!r}… nests too deep for a regular expression") from None
    if repeats:
        raise ValueError(f"{pattern!r} repeats a repeat, and may take for ever over a text")
    for text in trials:
        try:
            compiled.search(text, timeout=TRIAL_S)
        except TimeoutError as error:
            raise ValueError(f"{pattern!r} may take for ever over a text") from error


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> "regex.Pattern[str]":
    return regex.compile(_BRACE.sub(_literal, pattern), regex.IGNORECASE | regex.VERSION0)


_BRACE = re.compile(r"(\\N\{[^}]*\}|\\.)|\{(?!\d*,?\d*\})", re.DOTALL)


def _literal(found: re.Match[str]) -> str:
    """Return a brace that repeats nothing as a letter; `regex` would match nearly with `{e}`."""
    return found[1] or r"\{"
