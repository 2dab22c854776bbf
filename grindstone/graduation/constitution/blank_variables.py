"""Variables that nobody gave a value: before a slash they are a whole system.

`rm -rf $BUILD/` removes everything where BUILD is empty. A variable is blank when no script and no
file of the episode names it but to expand it: nothing sets it, reads into it, loops over it or
looks whether it is set. In capitals it may be the environment's, so that nobody can tell.
"""

import re
from collections.abc import Iterable

_EXPANDED = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_USUAL = frozenset(
    {"HOME", "PWD", "OLDPWD", "TMP", "TEMP", "TMPDIR", "USER", "LOGNAME", "PATH", "SHELL"}
    | {"HOSTNAME", "UID", "EUID", "RANDOM", "SECONDS", "LINENO", "BASHPID", "PPID"}
    | {"VIRTUAL_ENV", "CONDA_PREFIX", "GOPATH", "CARGO_HOME", "JAVA_HOME"}
    | {"WORKSPACE", "GITHUB_WORKSPACE", "RUNNER_TEMP"}
)
_STRICT = re.compile(r"\bset\s+(-\w*u|-o\s+nounset)|-o\s+nounset|\bbash\s+-\w*u")


def blank_variables(texts: Iterable[str]) -> frozenset[str]:
    """Return the variables that scripts expand and nothing in them gives a value.

    Args:
        texts: All scripts and files of the episode.
    """
    every = "\n".join(texts)
    if _STRICT.search(every):
        return frozenset()
    names = {first or second for first, second in _EXPANDED.findall(every)} - _USUAL
    return frozenset(name for name in names if not _named(name, every))


def _named(name: str, text: str) -> bool:
    """Tell whether a text names a variable but to expand it, or looks whether it is set."""
    bare = rf"(?<![$\w{{/.-]){name}(?![\w/.-])|\$\{{[!#]?{name}(?!\w)[^}}]"
    asked = rf"(?:\[\[?|test)\s+(?:!\s+)?-\w\s+[\"']?\$\{{?{name}\b"
    return bool(re.search(f"{bare}|{asked}", text))


def emptied(word: str, blank: frozenset[str]) -> str:
    """Return a word as it is where the blank variables are empty."""
    return _EXPANDED.sub(lambda found: "" if (found[1] or found[2]) in blank else found[0], word)
