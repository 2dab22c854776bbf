"""Scripts that a command hands on: to a shell, or inside code of another language."""

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

from grindstone.graduation.constitution.shell_command import (
    INTERPRETERS,
    SHELLS,
    Command,
    interpreter,
)
from grindstone.graduation.constitution.stdin_programs import MAKERS, recipes

MAX_SUPPLIED = 20
"""Words that xargs gives which are looked at."""

_CALL = re.compile(
    r"\b(?:system|popen|run|call|check_call|check_output|getoutput|Popen|exec\w*|spawn\w*|qx)"
    r"\s*[({]?\s*(?:\[(?P<list>[^\]]*)\]|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))"
)
_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_TICKS = re.compile(r"`([^`]+)`")
_JOINED = re.compile(r"(['\"])\s*[,+/]\s*(['\"])")


def scripts_in(code: str, program: str) -> list[str]:
    """Return the shell scripts that code of another language hands to a shell.

    Args:
        code: The code.
        program: Its interpreter.
    """
    found = []
    for call in _CALL.finditer(code):
        if call["text"]:
            found.append(_bare(call["text"]))
        elif words := [_bare(each[0]) for each in _LITERAL.finditer(call["list"])]:
            found.append(shlex.join(words))
    if program.startswith(("perl", "ruby", "php")):
        found += _TICKS.findall(code)
    return found


def joined(code: str) -> str:
    """Return code with the parts of a path in one: 'a', 'b' is 'a/b'."""
    return re.sub(r"//+", "/", _JOINED.sub("/", code))


def _bare(literal: str) -> str:
    return re.sub(
        r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), literal[1:-1]
    )


def handed_on(command: Command) -> Iterator[str]:
    """Yield the scripts that a command hands to a shell."""
    program, arguments, operands = command.program, command.arguments, command.operands
    kind = interpreter(program)
    if kind in SHELLS and command.code:
        yield command.code
    elif kind in INTERPRETERS or kind in {"awk", "gawk", "mawk"}:
        yield from scripts_in(command.code or " ".join(operands), kind)
    elif program == "eval":
        yield " ".join(arguments)
    elif program == "trap":
        yield from operands[:1]
    elif program in {"su", "script", "env"} and {"-c", "-S"} & set(arguments[:-1]):
        option = next(each for each in arguments if each in {"-c", "-S"})
        yield arguments[arguments.index(option) + 1]
    elif program in {"at", "batch", "source", "."} and command.document:
        yield command.document
    elif program in MAKERS and command.document:
        yield from recipes(command.document)
    elif program == "ssh" and len(operands) > 1:
        yield " ".join(operands[1:])
    elif program == "find":
        for at, word in enumerate(arguments):
            if word in {"-exec", "-execdir", "-ok"}:
                run = arguments[at + 1 :]
                yield shlex.join(run[: run.index(";")] if ";" in run else run)


def supplied(words: tuple[str, ...], given: str, written: Sequence[str]) -> tuple[str, ...]:
    """Return a command with what xargs gives it."""
    values = given.split()
    if "-I" in written[:-1]:
        mark = written[written.index("-I") + 1]
    else:
        mark = next((each[2:] for each in written if re.fullmatch(r"-I\S+", each)), "")
    if mark:
        return tuple(each.replace(mark, given.strip()) for each in words)
    return (*words, *values[:MAX_SUPPLIED])


def file_run(command: Command) -> str:
    """Return the file that a command runs as a script; empty where it runs none."""
    reads_code = interpreter(command.program) in INTERPRETERS and "-c" not in command.arguments
    if reads_code or command.program in {"source", "."}:
        return next(iter((*command.operands, *command.reads, "")))
    return command.words[0] if command.words and "/" in command.words[0] else ""


def running(command: Command, content: str) -> Command:
    """Return a command with a file's content as the script that it runs."""
    if interpreter(command.program) in INTERPRETERS or command.program in {"source", "."}:
        return command._replace(document=content)
    shebang = content.split("\n", 1)[0].split() if content.startswith("#!") else []
    runner = interpreter(posixpath.basename(shebang[-1])) if shebang else "sh"
    return command._replace(words=(runner, *command.words), document=content)
