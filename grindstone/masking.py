"""Known key values are not recorded: what is written of a run holds a mark in their place.

Known are the values of the host's variables whose names say that they are secret, those of a
saved model block, and those a user passed to tasks by name. A key that Grindstone was never told
of is text like any other.
"""

import json
import re
from collections.abc import Iterable, Mapping

_SECRET_NAMES = re.compile(
    r"(^|_)(API_?KEY|KEY|KEY_ID|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH|AUTH_STRING)$"
    r"|SECRET|TOKEN|BEARER",
    re.IGNORECASE,
)
SHORTEST = 8
"""Characters of a value that is masked: a shorter one is a word that occurs by chance."""

MARK = "[key]"


def is_secret(name: str) -> bool:
    """Return whether a variable's name says that its value is secret."""
    return _SECRET_NAMES.search(name) is not None


class Mask:
    """Replaces known values in text."""

    def __init__(self, values: Iterable[str]) -> None:
        known = {value for value in values if len(value) >= SHORTEST}
        # As JSON writes them too; the longest first, since one may hold another.
        every = known | {json.dumps(value)[1:-1] for value in known}
        self._pattern = (
            re.compile("|".join(re.escape(each) for each in sorted(every, key=len, reverse=True)))
            if every
            else None
        )

    @classmethod
    def of(cls, environ: Mapping[str, str], also: Iterable[str] = ()) -> "Mask":
        """Return the mask of an environment's secret values, and of some variables by name."""
        names = {name for name in environ if is_secret(name)} | set(also)
        # A path to a key file is no key, and may be part of much else.
        found = (environ[name] for name in names if name in environ)
        return cls(value for value in found if not value.startswith("/"))

    def __call__(self, text: str) -> str:
        """Return the text with a mark in the place of every known value."""
        return text if self._pattern is None else self._pattern.sub(MARK, text)


NO_MASK = Mask(())
