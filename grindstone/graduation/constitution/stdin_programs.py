"""Programs that take what they run from a file that is named, and so from standard input."""

import posixpath
import re
from collections.abc import Iterator
from types import MappingProxyType

from grindstone.graduation.constitution.shell_command import INTERPRETERS, Command, interpreter
from grindstone.graduation.constitution.written_paths import option_values

STDIN = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
MAKERS = frozenset({"make", "gmake", "bmake"})
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")

_FILE_OPTION: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(MAKERS, frozenset({"-f", "--file", "--makefile"})),
        **dict.fromkeys(("awk", "gawk", "mawk", "sed", "ninja"), frozenset({"-f", "--file"})),
        **dict.fromkeys(("just", "task"), frozenset({"-f", "--justfile", "-t", "--taskfile"})),
        "gdb": frozenset({"-x", "--command"}),
        **dict.fromkeys(("docker", "podman", "buildah"), frozenset({"-f", "--file"})),
    }
)
"""Options that name the file a program runs."""

_ON_INPUT = frozenset({"crontab", "at", "batch"})
_BY_OPERAND = frozenset({"ansible-playbook", "source", ".", "crontab"})
_CODE_OPTIONS = frozenset({"-c", "-e", "-m", "-r", "--eval"})


def runs_its_input(command: Command) -> bool:
    """Tell whether a command runs what it is given on standard input."""
    program, arguments, operands = command.program, command.arguments, command.operands
    first = operands[0] if operands else ""
    if interpreter(program) in INTERPRETERS:
        dash = "-" in arguments or "-s" in arguments
        return not _CODE_OPTIONS & set(arguments) and (not first or dash or first in STDIN)
    if program in _ON_INPUT:
        return True
    if program in {"docker", "podman", "buildah"}:
        builds = first in {"build", "bud", "buildx"}
        return builds and ("-" in arguments or bool(STDIN & set(_files(command))))
    if program == "ssh":
        return "bash -s" in " ".join(operands[1:]) or operands[1:] in {("sh",), ("bash",)}
    return bool(STDIN & set(_files(command))) or (program in _BY_OPERAND and first in STDIN)


def _files(command: Command) -> list[str]:
    return [*option_values(command, _FILE_OPTION.get(command.program, ()))]


def makefile_of(command: Command) -> tuple[str, ...]:
    """Return the files a `make` may read, first the one it is told; none for other programs."""
    if command.program not in MAKERS:
        return ()
    folder = next(iter(option_values(command, ("-C", "--directory"))), "")
    return tuple(posixpath.join(folder, each) for each in _files(command) or MAKEFILES)


def recipes(makefile: str) -> Iterator[str]:
    """Yield the scripts that a makefile hands to a shell."""
    lines = makefile.replace("\\\n", " ").split("\n")
    found = [line.lstrip("\t@-+ ") for line in lines if line.startswith("\t")]
    found += [line.split(";", 1)[1] for line in lines if re.match(r"[^\t#=]+:[^=;]*;", line)]
    yield from (each.replace("$$", "$") for each in found if each.strip())
    yield from re.findall(r"\$\(shell ([^()]*)\)", makefile)
