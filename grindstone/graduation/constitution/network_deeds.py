"""Whether a command runs what came from the network and nobody looked at."""

import posixpath
import re
from collections.abc import Iterator

from grindstone.graduation.constitution.shell_command import (
    INTERPRETERS,
    SHELLS,
    Command,
    interpreter,
)
from grindstone.graduation.constitution.written_paths import changed

FETCHES = frozenset(
    {"curl", "wget", "fetch", "aria2c", "lynx", "http", "https", "nc", "ncat", "socat"}
)
_READERS = frozenset({"eval", "source", "."})
_SEES = frozenset(
    {"cat", "less", "more", "head", "tail", "sha256sum", "sha512sum", "gpg", "diff", "grep", "bat"}
)
_START_FILES = re.compile(
    r"(^|/)(\.(bash|zsh)?(rc|_profile|_login)|\.profile|profile|bash\.bashrc)$"
)


def _fetched(command: Command) -> Iterator[str]:
    """Yield the files that a command brings from the network."""
    program, operands, words = command.program, command.operands, set(command.words)
    named = {"-O", "--output-document", "-qO-", "-O-"} & words
    keeps_name = (program == "wget" and not named) or (
        program == "curl" and (command.has("O") or "--remote-name" in words)
    )
    if keeps_name:
        yield from (posixpath.basename(each) for each in operands if "/" in each or "." in each)
    if program in {"scp", "rsync"}:
        remote = [each for each in operands[:-1] if ":" in each]
        yield from (posixpath.basename(each.rpartition(":")[2]) for each in remote)
        yield from operands[-1:] if remote else ()
    if program in FETCHES or FETCHES & set(command.fed_by):
        yield from changed(command)


def runs_unseen(command: Command, fetched: dict[str, bool]) -> bool:
    """Tell whether a command runs what came from the network and nobody looked at.

    Args:
        command: The command.
        fetched: The files that came from it so far, and whether anybody has looked into each.
    """
    program = interpreter(command.program)
    if _fed_from_network(command, program) or _made_of_network(command, program):
        return True
    if any(map(_START_FILES.search, changed(command))) and (
        command.program in FETCHES or FETCHES & set(command.fed_by)
    ):
        return True
    if program in INTERPRETERS or program in _READERS:
        return any(_unseen(command, path, fetched) for path in command.operands[:1])
    return bool(command.words) and _unseen(command, command.words[0], fetched)


def _fed_from_network(command: Command, program: str) -> bool:
    """Tell whether what comes from the network is a command's standard input, and run."""
    options = {word for word in command.arguments if word.startswith("-") and word != "-"}
    takes_input = (
        program in INTERPRETERS
        and (not command.operands or command.operands[0] == "-" or "-s" in options)
        and not {"-c", "-e", "-m", "-r"} & options
    )
    by_words = "xargs" in command.through and program in SHELLS and "-c" in options
    runs_it = takes_input or by_words or program == "crontab"
    return runs_it and bool(FETCHES & set(command.fed_by))


def _made_of_network(command: Command, program: str) -> bool:
    """Tell whether what comes from the network is in a command's words, and run."""
    code = command.code if program not in SHELLS else ""
    if re.search(r"\b(exec|eval)\s*\(", code) and re.search(r"urlopen|requests\.get", code):
        return True
    in_words = (
        program in _READERS
        or program in SHELLS
        or (
            program in INTERPRETERS
            and ("-c" in command.arguments or any(w.startswith("<(") for w in command.operands[:1]))
        )
    )
    return in_words and bool(FETCHES & set(command.runs))


def _unseen(command: Command, path: str, fetched: dict[str, bool]) -> bool:
    place = posixpath.normpath(command.path(path))
    if place in fetched:
        return not fetched[place]
    # Where it was fetched to or runs from is not always said: the same name is the same file.
    name = posixpath.basename(place)
    alike = [seen for known, seen in fetched.items() if posixpath.basename(known) == name]
    return bool(alike) and "/" in f"{path}{'/' if len(path) > 2 else ''}" and not alike[-1]


def note_fetched(command: Command, fetched: dict[str, bool]) -> None:
    """Add what a command fetched, moved or looked into."""
    program = command.program
    places = [posixpath.normpath(command.path(each)) for each in command.operands]
    for path in _fetched(command):
        fetched[posixpath.normpath(command.path(path))] = False
    if program in {"mv", "cp"} and len(places) == 2 and places[0] in fetched:
        fetched[places[1]] = fetched[places[0]]
    elif program in _SEES:
        for place in places:
            if place in fetched:
                fetched[place] = True
