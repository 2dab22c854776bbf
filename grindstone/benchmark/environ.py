"""Host variables in a task's env tables: `${VAR}` and `${VAR:-default}`.

A task reads a variable of the host only where a user passed it by name, with --pass-env or in
GRINDSTONE_PASS_ENV. Those with which models are reached are never passed: a task is somebody
else's text.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping

from grindstone.errors import InputError

PASS_ENV = "GRINDSTONE_PASS_ENV"
"""Names of variables that tasks may read, separated by commas."""

_TEMPLATE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL_CREDENTIALS = re.compile(
    r"(ANTHROPIC|OPENAI|AZURE|AWS|GOOGLE|GEMINI|VERTEX|CLOUD_ML|CLAUDE|PREFECT|GRINDSTONE)_\w*"
)


def passed_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names a user passed to tasks, in their order.

    Raises:
        InputError: One is no name, or belongs to a model's service or to Grindstone.
    """
    names = [name.strip() for name in environ.get(PASS_ENV, "").split(",") if name.strip()]
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(
                "--pass-env", f"{name!r} is no variable's name", "a name such as TOKEN"
            )
        if _MODEL_CREDENTIALS.fullmatch(name):
            raise InputError(
                "--pass-env",
                f"{name} belongs to a model's service or to Grindstone, and no task is given it",
                "a variable of the task's own",
            )
    return tuple(names)


def passed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the host that tasks may read.

    Raises:
        InputError: As `passed_names`.
    """
    return {name: environ[name] for name in passed_names(environ) if name in environ}


def pass_on(names: Iterable[str], environ: MutableMapping[str, str]) -> None:
    """Let tasks read more of the host's variables, in this process and those it starts."""
    known = [name for name in environ.get(PASS_ENV, "").split(",") if name]
    environ[PASS_ENV] = ",".join(dict.fromkeys([*known, *names]))
    passed_names(environ)


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
