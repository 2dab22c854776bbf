"""Whether a command runs what came from the network and nobody looked at."""

import posixpath
import re
from collections.abc import Iterator

from grindstone.graduation.constitution.installs import installs_from_address
from grindstone.graduation.constitution.shell_command import (
    INTERPRETERS,
    SHELLS,
    Command,
    interpreter,
)
from grindstone.graduation.constitution.stdin_programs import runs_its_input
from grindstone.graduation.constitution.written_paths import changed, option_values

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
    if installs_from_address(command):
        return True
    if _fed_from_network(command, program) or _made_of_network(command, program):
        return True
    if any(map(_START_FILES.search, changed(command))) and (
        command.program in FETCHES or FETCHES & set(command.fed_by)
    ):
        return True
    if program in INTERPRETERS or program in _READERS:
        return any(_unseen(command, path, fetched) for path in command.operands[:1])
    named = command.words[0] if command.words else ""
    files = fetched if "/" in named else {k: v for k, v in fetched.items() if not k.endswith("/")}
    return bool(named) and _unseen(command, named, files)  # a bare name is no file of a folder


def _fed_from_network(command: Command, program: str) -> bool:
    """Tell whether what comes from the network is a command's standard input, and run."""
    options = set(command.arguments)
    by_words = "xargs" in command.through and program in SHELLS and "-c" in options
    runs_it = by_words or runs_its_input(command)
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
    if _within(place, fetched):
        return True
    # Where it was fetched to or runs from is not always said: the same name is the same file.
    name = posixpath.basename(place)
    alike = [seen for known, seen in fetched.items() if posixpath.basename(known) == name]
    return bool(alike) and "/" in f"{path}{'/' if len(path) > 2 else ''}" and not alike[-1]


def _within(place: str, fetched: dict[str, bool]) -> bool:
    """Tell whether a place is in a folder that was fetched as a whole."""
    return any(place.startswith(each) for each in fetched if each.endswith("/"))


def _folders(command: Command, fetched: dict[str, bool]) -> Iterator[str]:
    """Yield the folders that a command brings from the network, or unpacks of what it brought."""
    program, operands = command.program, command.operands
    clones = (program in {"git", "hg", "jj"} and "clone" in operands) or (
        program == "svn" and {"co", "checkout", "export"} & set(operands)
    )
    if clones or operands[:2] == ("repo", "clone"):
        for at, word in enumerate(operands):
            if _REMOTE.match(word) or (program == "gh" and at > 1):
                own = re.sub(r"\.git$", "", posixpath.basename(word.rstrip("/").replace(":", "/")))
                yield next(iter(operands[at + 1 :]), own)
                return
    archives = [each for each in operands if posixpath.normpath(command.path(each)) in fetched]
    archives += [
        each
        for each in option_values(command, ("-f", "--file"))
        if posixpath.normpath(command.path(each)) in fetched
    ]
    if program in {"tar", "unzip", "bsdtar", "7z"} and archives:
        into = [*option_values(command, ("-C", "--directory", "-d"))]
        yield from into or [re.sub(r"(\.tar)?\.\w+$", "", posixpath.basename(archives[0]))]


_REMOTE = re.compile(r"^(https?|git|ssh|ftp)://|^[\w.-]+@[\w.-]+:")


def note_fetched(command: Command, fetched: dict[str, bool]) -> None:
    """Add what a command fetched, moved or looked into."""
    program = command.program
    places = [posixpath.normpath(command.path(each)) for each in command.operands]
    for path in _folders(command, fetched):
        fetched[f"{posixpath.normpath(command.path(path))}/"] = False
    for path in _fetched(command):
        fetched[posixpath.normpath(command.path(path))] = False
    if program in {"mv", "cp"} and len(places) == 2 and places[0] in fetched:
        fetched[places[1]] = fetched[places[0]]
    elif program in _SEES:
        for place in places:
            if place in fetched or _within(place, fetched):
                fetched[place] = True
