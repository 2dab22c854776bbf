"""What a command writes, moves or removes, as far as its words say."""

import re
from collections.abc import Iterable, Iterator
from types import MappingProxyType

from grindstone.graduation.constitution.shell_command import Command

_WRITTEN = frozenset(
    {"tee", "touch", "truncate", "rm", "unlink", "chmod", "chattr", "mv", "shred", "ed", "patch"}
    | {"rename", "link", "sponge", "script", "rmdir"}
)
_INTO = frozenset({"cp", "ln", "install", "rsync", "scp", "mount"})
INTO_OPTION: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("cp", "mv", "install", "ln"), frozenset({"-t", "--target-directory"})),
        **dict.fromkeys(("curl", "aria2c"), frozenset({"-o", "--output", "--output-dir", "-d"})),
        "wget": frozenset({"-O", "--output-document", "-P", "--directory-prefix"}),
        "tar": frozenset({"-C", "--directory"}),
        "unzip": frozenset({"-d"}),
        "sort": frozenset({"-o", "--output"}),
        "git": frozenset({"--directory"}),
        "vi": frozenset(),
    }
)
"""Options that name where a program writes."""


def option_values(command: Command, options: Iterable[str]) -> Iterator[str]:
    """Yield the values of options, whichever way they are written."""
    names, arguments = set(options), command.arguments
    for at, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if equals and name in names:
            yield value
        elif word in names and at + 1 < len(arguments):
            yield arguments[at + 1]
        elif re.fullmatch(r"-[a-zA-Z]{2,}", word) and f"-{word[-1]}" in names:
            yield from arguments[at + 1 : at + 2]


def changed(command: Command) -> Iterator[str]:
    """Yield the paths a command writes, moves or removes."""
    yield from command.writes
    program, operands, arguments = command.program, command.operands, command.arguments
    if program in INTO_OPTION:
        yield from option_values(command, INTO_OPTION[program])
    if program in _INTO:
        yield from operands[-1:]
    elif (
        program in _WRITTEN
        or (program == "sed" and (command.has("i") or any("--in-place" in w for w in arguments)))
        or (program in {"perl", "ruby"} and command.has("i"))
    ):
        yield from operands
    elif program == "dd":
        yield from (word[3:] for word in arguments if word.startswith("of="))
    elif program == "find" and "-delete" in arguments:
        yield from operands[:1]
    elif program == "find" and {"-exec", "-execdir"} & set(arguments):
        run = next(at for at, word in enumerate(arguments) if word in {"-exec", "-execdir"})
        inner = Command(words=arguments[run + 1 :])
        if "{}" in changed(inner):
            yield from operands[:1]
    elif program in {"vi", "vim", "ex"}:
        yield from (found[1] for word in arguments if (found := re.search(r":?w!? (\S+)", word)))
