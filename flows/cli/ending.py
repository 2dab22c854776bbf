"""How a command that fails ends: a sentence, an exit code, and with `--json` a document.

| exit code | meaning |
|---|---|
| 1 | it ran, and the answer is no: a refusal, a ceiling, an order to end |
| 2 | what was given cannot be used |
| 3 | infrastructure: a service, an engine, a disk, or a fault of Grindstone itself |
"""

import errno
import os
import re
import shutil
import sys
from typing import Any, NamedTuple

from grindstone.errors import (
    BudgetExceededError,
    CalledOffError,
    GrindstoneError,
    InputError,
    RefusedError,
)
from grindstone.flows.cli.output import OUTPUT, drop_output, emit, is_of_output
from grindstone.text import obeyed_by_none

_REMEDIES = {
    errno.ENOSPC: "free space on that disk",
    errno.EDQUOT: "free space in that quota",
    errno.EROFS: "a place that can be written to; --work-dir names another home",
    errno.EACCES: "a place this user may use; --work-dir names another home",
    errno.EPERM: "a place this user may use; --work-dir names another home",
    errno.EMFILE: "a higher limit of open files (`ulimit -n`)",
}

_ANSWERS = (
    (RefusedError, "refused", ""),
    (BudgetExceededError, "budget", ""),
    (CalledOffError, "called off", "the run has ended: "),
)
"""Errors that are an answer, their names, and what goes before their words."""


class Ending(NamedTuple):
    """What a failure comes to."""

    code: int
    kind: str
    sentences: tuple[str, ...]
    problems: tuple[InputError, ...] = ()


def ending_of(error: Exception) -> Ending:
    """Return how an error ends the command."""
    if isinstance(error, InputError):
        each = error.each
        return Ending(2, "input", tuple(item.sentence for item in each), each)
    for answer, name, said in _ANSWERS:
        if isinstance(error, answer):
            return Ending(1, name, (f"{said}{error}",))
    if isinstance(error, GrindstoneError):
        return Ending(3, "infrastructure", (str(error),))
    if isinstance(error, OSError):
        return Ending(3, "system", (_system(error),))
    kind = type(error).__name__
    return Ending(3, "internal", (f"a fault of Grindstone itself, {kind}: {error}",))


def _system(error: OSError) -> str:
    if isinstance(error, shutil.Error):
        error = _first_of(error)
    where = error.filename or (OUTPUT if is_of_output(error) else f"{OUTPUT} or a file")
    problem = error.strerror or str(error) or type(error).__name__
    place = os.fsdecode(where) if isinstance(where, (str, bytes)) else str(where)
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{place}: {problem[0].lower()}{problem[1:]}" + (
        f"; expected {remedy}" if remedy else ""
    )


def _first_of(error: shutil.Error) -> OSError:
    """Return the first of the errors that copying a folder met, which are told as text."""
    found = error.args[0] if error.args else ""
    if not isinstance(found, list) or not found:
        return error
    _, place, why = found[0]
    number = re.search(r"\[Errno (\d+)\]", str(why))
    if number is None:
        return OSError(None, str(why), str(place))
    return OSError(int(number[1]), os.strerror(int(number[1])), str(place))


def end(ending: Ending, *, as_json: bool) -> int:
    """Tell how it ended, on standard error and, where JSON was asked for, on standard output.

    Returns:
        The exit code.
    """
    for sentence in ending.sentences:
        sys.stderr.write(f"grindstone: {obeyed_by_none(sentence)}\n")
    sys.stderr.flush()
    if as_json:
        document: dict[str, Any] = {
            "exit_code": ending.code,
            "kind": ending.kind,
            "message": "\n".join(ending.sentences),
            "problems": [
                {"where": item.where, "problem": item.problem, "expected": item.expected}
                for item in ending.problems
            ],
        }
        try:
            emit({"error": document}, as_json=True, text="")
        except OSError:  # the output is what failed
            drop_output()
    return ending.code
