"""The words of a shell as it sees them: quotes taken off, braces opened, wrappers put aside."""

import base64
import binascii
import codecs
import posixpath
import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

MAX_WORDS = 200
"""Words that braces are opened into."""

_VALUED: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(options.split())
        for name, options in {
            "sudo": "-u -g -h -p -C -D -R -T -r -t -U",
            "doas": "-u -C",
            "nice": "-n",
            "ionice": "-c -n -p",
            "time": "-f -o",
            "timeout": "-k -s",
            "env": "-u -C",
            "exec": "-a",
            "stdbuf": "-i -o -e",
            "xargs": "-I -n -P -L -d -a -s -E",
            "watch": "-n",
            "parallel": "-j -N -n -I --jobs",
            "flock": "-w -E",
            "chrt": "-p",
            **dict.fromkeys(("nohup", "command", "builtin", "setsid", "busybox", "unbuffer"), ""),
            **dict.fromkeys(("chroot", "unshare", "coproc", "taskset", "toybox", "prlimit"), ""),
        }.items()
    }
)
"""Programs that run another, with their options that take a value."""

_ONE_MORE = frozenset({"timeout", "chroot", "flock", "taskset"})
"""Those with one operand before the program."""

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|[0-7]{1,3}|.)", re.S)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "0": "\0"}
_BRACES = re.compile(r"(?<!\$)\{([^{}\s]*,[^{}\s]*)\}")


class Unwrapped(NamedTuple):
    """A command, and the programs it is run by."""

    words: tuple[str, ...]
    through: tuple[str, ...] = ()


def unwrapped(words: tuple[str, ...]) -> Unwrapped:
    """Return a command without what only says how it is run."""
    through: list[str] = []
    while len(words) > 1 and (wrapper := posixpath.basename(words[0])) in _VALUED:
        rest = list(words[1:])
        while rest and (rest[0].startswith("-") or (wrapper == "env" and "=" in rest[0])):
            option = rest.pop(0)
            if option in _VALUED[wrapper] and rest:
                rest.pop(0)
        if wrapper in _ONE_MORE and rest:
            rest.pop(0)
            if wrapper == "flock" and rest[:1] == ["-c"]:
                rest = ["sh", *rest]
        if not rest:
            break
        if wrapper == "parallel" and ":::" in rest:
            at = rest.index(":::")
            rest = rest[:at] + rest[at + 1 :]
        through.append(wrapper)
        words = tuple(rest)
    return Unwrapped(words, tuple(through))


def ansi_c(text: str) -> str:
    r"""Return what $'…' holds: \x72 is r."""

    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] in "xu":
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8) % 0x110000)
        return _LETTERS.get(code, code)

    return _ESCAPE.sub(one, text)


def braced(word: str) -> list[str]:
    """Return the words that braces stand for: /{usr,etc} is /usr and /etc."""
    words, done = [word], list[str]()
    while words and len(words) + len(done) < MAX_WORDS:
        each = words.pop(0)
        found = _BRACES.search(each)
        if found is None:
            done.append(each)
        else:
            head, tail = each[: found.start()], each[found.end() :]
            words = [head + part + tail for part in found[1].split(",")] + words
    return [*done, *words]


def printed(words: Sequence[str], given: str | None) -> str | None:
    """Return what a command prints, as far as that is known without running it.

    Args:
        words: The command.
        given: What it reads on standard input; None: not known.
    """
    program, rest = posixpath.basename(words[0]) if words else "", list(words[1:])
    if program == "echo":
        while rest and re.fullmatch(r"-[neE]+", rest[0]):
            rest.pop(0)
        return " ".join(rest)
    if program == "printf" and rest:
        form, values = ansi_c(rest[0]), rest[1:]
        return re.sub(r"%[sb]", lambda _: values.pop(0) if values else "", form)
    if program in {"which", "dirname", "realpath"} and len(rest) == 1 and rest[0]:
        return posixpath.dirname(rest[0]) if program == "dirname" else rest[0]
    if given is None:
        return None
    if program in {"cat", "tee"} and not (program == "cat" and rest and rest[0] != "-"):
        return given
    return _decoded(program, rest, given)


def _decoded(program: str, options: Sequence[str], given: str) -> str | None:
    try:
        if program in {"base64", "base32"} and {"-d", "-D", "--decode", "-di"} & set(options):
            decode = base64.b64decode if program == "base64" else base64.b32decode
            return decode(given.strip()).decode("utf-8", "replace")
        if program == "xxd" and "-r" in " ".join(options):
            return bytes.fromhex("".join(given.split())).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
    if program == "rev":
        return "\n".join(line[::-1] for line in given.split("\n"))
    if program == "tr" and list(options) in (
        ["a-zA-Z", "n-za-mN-ZA-M"],
        ["A-Za-z", "N-ZA-Mn-za-m"],
    ):
        return codecs.encode(given, "rot13")
    return None
