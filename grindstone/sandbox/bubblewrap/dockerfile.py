"""The part of a Dockerfile that bubblewrap can replay on the host's own system.

FROM (whatever it names, the host's system is what there is), ARG, ENV, WORKDIR, COPY from
the folder, RUN, and lines that change nothing about files: LABEL, CMD, ENTRYPOINT, EXPOSE,
MAINTAINER, STOPSIGNAL, HEALTHCHECK, USER root. Anything else needs Docker, and says so.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from grindstone.dockerfile import LONGEST_VALUE, Instruction, instructions
from grindstone.errors import InputError
from grindstone.untrusted import UntrustedError, read_json

HARMLESS = frozenset(
    {"LABEL", "CMD", "ENTRYPOINT", "EXPOSE", "MAINTAINER", "STOPSIGNAL", "HEALTHCHECK"}
)

ROOT_USERS = frozenset({"root", "0", "root:root", "0:0"})

_VARIABLE = re.compile(r"\\(.)|\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")


class RunInstruction(NamedTuple):
    """A command line."""

    command: str
    env: Mapping[str, str]
    workdir: str


class CopyInstruction(NamedTuple):
    """Files of the folder, and where they go."""

    sources: tuple[Path, ...]
    target: str  # absolute; ends in / when it is a folder
    mode: int | None


class Workdir(NamedTuple):
    """A folder that is to be there."""

    path: str


class Recipe(NamedTuple):
    """What a Dockerfile comes to."""

    steps: tuple[RunInstruction | CopyInstruction | Workdir, ...]
    env: Mapping[str, str]
    workdir: str


def read_recipe(context: Path) -> Recipe:
    """Read a folder's Dockerfile.

    Raises:
        InputError: It is not there, or a line of it needs Docker; names the line.
    """
    path = context / "Dockerfile"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), str(error), "a Dockerfile") from error
    return _Reader(path, context).read(text)


class _Reader:
    def __init__(self, path: Path, context: Path) -> None:
        self._path = path
        self._context = context.resolve()
        self._steps: list[RunInstruction | CopyInstruction | Workdir] = []
        self._env: dict[str, str] = {}
        self._args: dict[str, str] = {}
        self._workdir = "/"
        self._stages = 0

    def read(self, text: str) -> Recipe:
        for line in instructions(text):
            handle = getattr(self, f"_do_{line.keyword.lower()}", None)
            if handle is not None:
                handle(line)
            elif line.keyword not in HARMLESS:
                self._refuse(line, f"{line.keyword} cannot be replayed")
        if not self._stages:
            raise InputError(str(self._path), "has no FROM", "a Dockerfile")
        return Recipe(tuple(self._steps), self._env, self._workdir)

    def _at(self, line: Instruction) -> str:
        return f"{self._path}:{line.first_line + 1}"

    def _refuse(self, line: Instruction, problem: str) -> NoReturn:
        raise InputError(
            self._at(line),
            f"this task needs Docker: {problem} ({line.keyword} {line.value})"[:300],
            "FROM, ARG, ENV, WORKDIR, COPY and RUN without build options, or a Docker engine",
        )

    def _do_from(self, line: Instruction) -> None:
        self._stages += 1
        if self._stages > 1:
            self._refuse(line, "it builds in several stages")
        if "--" in line.value.split()[0]:
            self._refuse(line, "it chooses a platform")

    def _do_arg(self, line: Instruction) -> None:
        for word in self._words(line):
            name, given, value = word.partition("=")
            if given:
                self._args[name] = self._filled(line, value)

    def _do_env(self, line: Instruction) -> None:
        words = self._words(line)
        if words and "=" not in words[0]:
            name, _, value = line.value.partition(" ")
            self._env[name] = self._filled(line, value.strip())
            return
        before = dict(self._env)
        for word in words:
            name, _, value = word.partition("=")
            before[name] = self._filled(line, value)
        self._env = before

    def _do_workdir(self, line: Instruction) -> None:
        self._workdir = self._absolute(self._filled(line, line.value.strip().strip('"')))
        self._steps.append(Workdir(self._workdir))

    def _do_user(self, line: Instruction) -> None:
        if line.value.strip() not in ROOT_USERS:
            self._refuse(line, "it changes the user")

    def _do_run(self, line: Instruction) -> None:
        if line.value.startswith("--"):
            self._refuse(line, "it asks for a build option")
        if re.search(r"<<-?\s*[\"']?\w", line.value):
            self._refuse(line, "it holds a here-document")
        command = line.value
        if command.startswith("["):
            command = shlex.join(self._listed(line))
        self._steps.append(RunInstruction(command, {**self._args, **self._env}, self._workdir))

    def _listed(self, line: Instruction) -> list[str]:
        try:
            words = read_json(line.value)
        except UntrustedError:
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            self._refuse(line, "its list of words is not JSON")
        return words

    def _do_copy(self, line: Instruction) -> None:
        if "<<" in line.value:
            self._refuse(line, "it holds a here-document")
        mode = None
        words = self._words(line)
        if line.value.startswith("["):
            words = self._listed(line)
        while words and words[0].startswith("--"):
            option, _, value = words.pop(0).partition("=")
            if option == "--chmod" and re.fullmatch(r"0?[0-7]{3}", value):
                mode = int(value, 8)
            elif not (option == "--chown" and value in ROOT_USERS) and option != "--link":
                self._refuse(line, f"it asks for {option}")
        if len(words) < 2:
            self._refuse(line, "it names no target")
        *given, target = (self._filled(line, word) for word in words)
        sources = [path for word in given for path in self._found(line, word)]
        folder = target.endswith("/") or target in {".", "./"} or len(sources) > 1
        place = self._absolute(target)
        self._steps.append(
            CopyInstruction(tuple(sources), f"{place.rstrip('/')}/" if folder else place, mode)
        )

    def _found(self, line: Instruction, word: str) -> list[Path]:
        pattern = word.lstrip("/").removeprefix("./").rstrip("/")
        if pattern in {"", "."}:
            return [self._context]
        plain = self._context / pattern
        found = [plain] if plain.exists() else sorted(self._context.glob(pattern))
        if not found:
            raise InputError(self._at(line), f"{word} is not there", "a file to copy")
        for path in found:
            if not path.resolve().is_relative_to(self._context):
                raise InputError(
                    self._at(line),
                    f"{word} is outside",
                    "a file in the folder",
                )
        return found

    def _words(self, line: Instruction) -> list[str]:
        try:
            return shlex.split(line.value)
        except ValueError as error:
            raise InputError(self._at(line), str(error), "balanced quotation marks") from error

    def _absolute(self, path: str) -> str:
        joined = path if path.startswith("/") else f"{self._workdir.rstrip('/')}/{path}"
        parts = [part for part in joined.split("/") if part not in {"", "."}]
        return "/" + "/".join(parts)

    def _filled(self, line: Instruction, text: str) -> str:
        known = {**self._args, **self._env}

        def value(match: re.Match[str]) -> str:
            escaped, name, sign, other, plain = match.groups()
            if escaped is not None:
                return "$" if escaped == "$" else f"\\{escaped}"
            found = known.get(name or plain, "")
            if sign == "-":
                return found or other
            if sign == "+":
                return other if found else ""
            return found

        done, at = "", 0
        for match in _VARIABLE.finditer(text):
            done += text[at : match.start()] + value(match)
            at = match.end()
            if len(done) > LONGEST_VALUE:
                expected = f"{LONGEST_VALUE} characters at most, with variables filled in"
                raise InputError(self._at(line), "a value is longer", expected)
        return done + text[at:]
