"""Just enough of the Dockerfile's grammar to say what an image copies and runs.

One reader for all: those that replay a Dockerfile, look for mistakes in it, or change a line. It
reads lines, directives, continuations and here-documents as BuildKit's parser does: what passes for
the body of a document here and is an instruction there would be looked at by nobody.
"""

import json
import re
import shlex
from typing import NamedTuple

LONGEST_VALUE = 100_000
"""Characters of a word with its variables filled in: values of values double with each line."""

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
_WITH_DOCUMENTS = ("ADD", "COPY", "RUN")
_SPACE = re.compile(r"[\t\v\f\r ]+")


class Instruction(NamedTuple):
    """One instruction, continuation lines joined."""

    keyword: str  # upper case
    value: str
    first_line: int  # counted from 0
    last_line: int  # inclusive


class Copy(NamedTuple):
    """What a COPY or ADD names."""

    flags: tuple[str, ...]
    sources: tuple[str, ...]
    target: str

    @property
    def from_stage(self) -> bool:
        """Whether the sources are in another image, not in the build folder."""
        return any(flag.startswith("--from") for flag in self.flags)


def instructions(text: str, *, documents: bool = True) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile, comments left out.

    Args:
        text: The file's.
        documents: Whether here-documents are known; the classic builder knows none.
    """
    found: list[Instruction] = []
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    escape = directives(text).get("escape", "\\")
    continued = re.compile(rf"(?:(?<![{re.escape(escape)}])|^){re.escape(escape)}[ \t]*$")
    index = 0
    while index < len(lines):
        stripped = lines[index].strip()
        if not stripped or stripped.startswith("#"):
            index += 1
            continue
        first = index
        parts: list[str] = []
        while index < len(lines):
            line = lines[index]
            if parts and (not line.strip() or line.lstrip().startswith("#")):
                index += 1  # Docker passes over comments and empty lines in a continuation
                continue
            parts.append(continued.sub("", line))
            index += 1
            if not continued.search(line):
                break
        words = _SPACE.split("".join(parts).strip(), maxsplit=1)
        keyword, rest = words[0].upper(), words[1] if len(words) > 1 else ""
        for chomped, name in _documents(keyword, rest, escape) if documents else ():
            start = index
            while index < len(lines):
                line = lines[index].lstrip("\t") if chomped else lines[index]
                if line == name:
                    break
                index += 1
            rest += "\n" + "\n".join(lines[start:index])
            index += 1
        last = min(index, len(lines)) - 1
        found.append(Instruction(keyword, rest.strip(), first, last))
    return tuple(found)


def directives(text: str) -> dict[str, str]:
    """Return what the first lines set, such as escape and syntax, by name in lower case."""
    found: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        found.setdefault(match[1].lower(), match[2])
    return found


def raw_words(line: str, escape: str = "\\") -> tuple[str, ...] | None:
    """Return a line's words, quotation marks and escapes kept; None where a quote does not end."""
    words: list[str] = []
    word, quote, index = "", "", 0
    while index < len(line):
        char = line[index]
        if char == escape and quote != "'" and index + 1 < len(line):
            word += line[index : index + 2]
            index += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char.isspace():
            words += [word] if word else []
            word, index = "", index + 1
            continue
        word += char
        index += 1
    words += [word] if word else []
    return None if quote else tuple(words)


def _documents(keyword: str, rest: str, escape: str) -> list[tuple[bool, str]]:
    """Return the here-documents a line begins: whether tabs before their lines count, and names."""
    if keyword == "ONBUILD":
        keyword, _, rest = rest.partition(" ")
    if keyword.upper() not in _WITH_DOCUMENTS:
        return []
    matches = (_HEREDOC.fullmatch(word) for word in raw_words(rest, escape) or ())
    return [(bool(m[1]), re.sub(r"[\"']|\\(?=.)", "", m[2])) for m in matches if m]


def parse_copy(instruction: Instruction) -> Copy | None:
    """Return what a COPY or ADD names; None for other or unreadable instructions."""
    if instruction.keyword not in ("COPY", "ADD") or "<<" in instruction.value:
        return None
    rest = instruction.value
    flags: list[str] = []
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
        rest = rest.lstrip()
    try:
        words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
    except ValueError:
        return None
    if not isinstance(words, list) or len(words) < 2:
        return None
    *sources, target = (str(word) for word in words)
    return Copy(tuple(flags), tuple(sources), target)
