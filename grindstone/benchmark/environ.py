"""Host variables in a task's env tables: `${VAR}` and `${VAR:-default}`."""

import re
from collections.abc import Mapping

_TEMPLATE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


def host_variables(values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the host variables that the values ask for, sorted."""
    return tuple(sorted({m["name"] for text in values.values() for m in _TEMPLATE.finditer(text)}))


def missing_variables(values: Mapping[str, str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the host variables asked for, without a default, that are not set."""
    asked = {
        match["name"]
        for text in values.values()
        for match in _TEMPLATE.finditer(text)
        if match["default"] is None
    }
    return tuple(sorted(asked - set(environ)))


def resolve(values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values with every template replaced.

    As in a shell, `:-` takes the default when the variable is unset or empty. A variable
    that `missing_variables` lists becomes the empty string.
    """

    def replace(match: re.Match[str]) -> str:
        found = environ.get(match["name"], "")
        return found or match["default"] or ""

    return {name: _TEMPLATE.sub(replace, text) for name, text in values.items()}
