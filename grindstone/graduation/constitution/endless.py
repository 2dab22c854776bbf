r"""Whether a pattern may take for ever over a text: a repeat of a repeat that nothing parts.

`(a+)+`, `(\w+\s?)*` and `(.*,)*` split a run of letters in more ways than there are seconds;
`(\w+\s)*` parts its repeats by a space, and does not. Which of several alternatives is meant is
not looked into: `(a|ab)*` is let pass.
"""

import re
from typing import Any

MANY = 12
"""As many repeats as are no small number of them."""


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
