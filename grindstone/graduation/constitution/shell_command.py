"""One simple command of a script, as its reader leaves it."""

import posixpath
from typing import NamedTuple

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash"})
INTERPRETERS = SHELLS | {
    *("python", "python2", "python3", "perl", "ruby", "node", "nodejs", "php"),
    *("lua", "luajit", "Rscript", "tclsh", "expect", "pwsh", "osascript"),
}


class Command(NamedTuple):
    """One simple command."""

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    document: str = ""  # what a here-document gives it
    fed_by: tuple[str, ...] = ()  # programs before it in its pipeline
    runs: tuple[str, ...] = ()  # programs substituted into its words: $(…), <(…)
    reveals: tuple[str, ...] = ()  # variables expanded in its words
    folder: str = ""  # where it runs, as far as `cd` says
    through: tuple[str, ...] = ()  # what it is run by: sudo, xargs, …

    @property
    def program(self) -> str:
        """Its name without the folder."""
        return posixpath.basename(self.words[0]) if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its words after the name."""
        return self.words[1:]

    @property
    def operands(self) -> tuple[str, ...]:
        """Its words that are no options."""
        return tuple(word for word in self.arguments if not word.startswith("-"))

    def has(self, letter: str, *names: str) -> bool:
        """Whether an option is given, as a letter among others or by a long name."""
        return any(
            word in names
            or (word.startswith("-") and not word.startswith("--") and letter in word[1:])
            for word in self.arguments
        )

    @property
    def code(self) -> str:
        """Code given to an interpreter on its command line or in a document."""
        if interpreter(self.program) not in INTERPRETERS:
            return ""
        for option in ("-c", "-e", "-r", "--eval"):
            if option in self.arguments[:-1]:
                return self.arguments[self.arguments.index(option) + 1]
        if interpreter(self.program) in SHELLS:
            for at, word in enumerate(self.arguments[:-1]):
                if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
                    return self.arguments[at + 1]
        return self.document

    def path(self, name: str) -> str:
        """Return a path as it is seen from the folder the command runs in."""
        if name.startswith(("/", "~", "$")) or not self.folder:
            return _absolute(name) if name.startswith("/") else name
        return posixpath.normpath(posixpath.join(self.folder, name))


class WrittenFile(NamedTuple):
    """A file that an action wrote without a shell."""

    path: str
    content: str


class Script(NamedTuple):
    """The commands of a script, in order."""

    commands: tuple[Command, ...]
    whole: bool  # False: parts of it could not be parsed
    hidden: bool = False  # a shell was given what cannot be read: decoded, decrypted
    blank: frozenset[str] = frozenset()  # variables that nothing of the episode gives a value


_VERSIONED = ("python", "ruby", "perl", "lua")


def interpreter(program: str) -> str:
    """Return a program's name without its version: python3.11 is python3."""
    return program.partition(".")[0] if program.startswith(_VERSIONED) else program


def _absolute(path: str) -> str:
    """Return a path without its detours; // is / here."""
    return posixpath.normpath("/" + path.lstrip("/"))
