"""Just enough of the Dockerfile's grammar to say what an image copies and runs.

One reader for all: those that replay a Dockerfile, look for mistakes in it, or change a line.
"""

import json
import re
import shlex
from typing import NamedTuple

_HEREDOC = re.compile(r"<<-?[\"']?(?P<word>[A-Za-z_][A-Za-z0-9_]*)[\"']?")


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


def instructions(text: str) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile, comments left out."""
    found: list[Instruction] = []
    lines = text.splitlines()
    escape = "`" if re.match(r"#\s*escape\s*=\s*`", text, re.IGNORECASE) else "\\"
    index = 0
    while index < len(lines):
        stripped = lines[index].strip()
        if not stripped or stripped.startswith("#"):
            index += 1
            continue
        first = index
        parts: list[str] = []
        while index < len(lines):
            line = lines[index].rstrip()
            if parts and (not line.strip() or line.lstrip().startswith("#")):
                index += 1  # Docker passes over comments and empty lines in a continuation
                continue
            continued = line.endswith(escape)
            parts.append(line.removesuffix(escape))
            index += 1
            if not continued:
                break
        words = "".join(parts).strip().split(maxsplit=1)
        keyword, rest = words[0], words[1] if len(words) > 1 else ""
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            for match in _HEREDOC.finditer(rest):
                body_start = index
                while index < len(lines) and lines[index].strip() != match["word"]:
                    index += 1
                rest += "\n" + "\n".join(lines[body_start:index])
                index += 1
        last = min(index, len(lines)) - 1
        found.append(Instruction(keyword.upper(), rest.strip(), first, last))
    return tuple(found)


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
