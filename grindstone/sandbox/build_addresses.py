"""Whom an image's build has the engine ask: refused where it is this machine or a private one.

`docker build` fetches what ADD, FROM, `COPY --from`, a mount and `# syntax=` name from where the
engine runs, with the host's own loopback and whatever a cloud answers at 169.254.169.254. A
Dockerfile is a stranger's text, so these addresses are read from it before anything is built:
variables filled in, quotation marks and escapes taken off.

What a text cannot tell is not held: where a server redirects to, what a fetched repository's
submodules or a base image's ONBUILD and ENV name, how a name is resolved a second time, and what
RUN does, whose network is the engine's bridge.
"""

import ipaddress
import json
import os
import re
import socket
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from grindstone.dockerfile import LONGEST_VALUE, Instruction, directives, instructions, raw_words
from grindstone.errors import InputError
from grindstone.sandbox.network.rules import why_not_public

BUILD_HOSTS = "GRINDSTONE_BUILD_HOSTS"
"""Names a variable: hosts that builds may ask though they are not public, separated by commas."""

EXPECTED = f"a public host, or one that {BUILD_HOSTS} names"

_UNKNOWN = "\0"
"""In a filled-in word: what is set elsewhere, if anywhere."""

_FRONTENDS = re.compile(r"(docker\.io/)?docker/dockerfile(-upstream)?([:@][\w.:-]+)?")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)
_SCP = re.compile(r"[\w.-]+@([^:/]+):")
_FROM = re.compile(r"(?:^|,)from=([^,]+)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+?])([^}]*)|([#%/][^}]*))?\})")
_OURS = re.compile(
    r"localhost|.*\.localhost|(host|gateway)\.docker\.internal|metadata(\.google\.internal)?"
)
_PLATFORM = {
    f"{side}{part}": "x"
    for side in ("TARGET", "BUILD")
    for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
}


class AskedHost(NamedTuple):
    """Whom an instruction has the engine ask."""

    line: int  # from 1
    text: str
    host: str  # without a port; empty where it cannot be known before it is built


def check_dockerfile(
    path: Path, text: str, *, resolve: bool = False, documents: bool = True
) -> None:
    """Refuse a Dockerfile that has the engine ask somebody who is not public.

    Args:
        path: What it is called in the error.
        text: What it holds.
        resolve: Look names up, too; one that is not found is let pass.
        documents: As `instructions` takes it.

    Raises:
        InputError: It does, or whom it asks cannot be known; names the line.
    """
    for asked in asked_by(text, documents=documents):
        if problem := why_refused(asked.host, resolve=resolve):
            raise InputError(f"{path}:{asked.line}", f"{problem}: {asked.text[:200]}", EXPECTED)


def check_image(where: str, image: str, *, resolve: bool = False) -> None:
    """Refuse an image that would be pulled from somebody who is not public.

    Raises:
        InputError: It would; names where it stands.
    """
    host = _registry(image)
    if host is not None and (problem := why_refused(host, resolve=resolve)):
        raise InputError(where, f"{problem}: {image[:200]}", EXPECTED)


def why_refused(host: str, *, resolve: bool = False) -> str:
    """Return why the engine is not to ask a host; empty where it may."""
    if not host or _UNKNOWN in host:
        return "has the engine ask an address that cannot be known before it is built"
    # As Go's clients read it: wide digits and full stops are digits and full stops.
    name = unicodedata.normalize("NFKC", host).replace("。", ".").strip("[]").rstrip(".").lower()
    if name in _allowed(os.environ):
        return ""
    if _OURS.fullmatch(name):
        return f"has the engine ask {name}, which is this machine's or its neighbours'"
    for address in _addresses(name, resolve=resolve):
        if problem := why_not_public(address):
            shown = name if address == name else f"{name} ({address})"
            return f"has the engine ask {shown}, which is {problem}"
    return ""


def _allowed(environ: Mapping[str, str]) -> Collection[str]:
    named = environ.get(BUILD_HOSTS, "").lower().split(",")
    return {re.sub(r":\d+$", "", each.strip()).strip("[]") for each in named if each.strip()}


def _addresses(name: str, *, resolve: bool) -> tuple[str, ...]:
    """Return what a host is at: itself where it is an address, else, if asked, what is found."""
    try:
        return (str(ipaddress.ip_address(name.partition("%")[0])),)
    except ValueError:
        pass
    try:
        return (socket.inet_ntoa(socket.inet_aton(name)),)  # 127.1, 0x7f000001 and the like
    except (OSError, UnicodeError):
        pass
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM) if resolve else ()
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def asked_by(text: str, *, documents: bool = True) -> Iterator[AskedHost]:
    """Yield whom a Dockerfile has the engine ask, in its order."""
    yield from _frontend(text)
    escape = directives(text).get("escape", "\\")
    reader = _Stages(escape)
    for line in instructions(text, documents=documents):
        for host in reader.hosts(line):
            yield AskedHost(line.first_line + 1, f"{line.keyword} {_first(line.value)}", host)


def _frontend(text: str) -> Iterator[AskedHost]:
    """Yield the program that reads the Dockerfile, where it is not Docker's own: it may ask all."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        match = re.match(r"(?:#|//)\s*syntax\s*=\s*(\S+)", line.strip(), re.IGNORECASE)
        match = match or re.match(r'\{.*"syntax"\s*:\s*"([^"]*)"', line.strip(), re.IGNORECASE)
        if match and not _FRONTENDS.fullmatch(match[1]):
            yield AskedHost(number, line.strip(), "")
        if line.strip() and not line.strip().startswith(("#", "//", "{")):
            return


def _first(value: str) -> str:
    """Return an instruction's line without the documents it holds."""
    return value.partition("\n")[0]


class _Stages:
    """Follows what is set from line to line."""

    def __init__(self, escape: str) -> None:
        self._escape = escape
        self._global: dict[str, str | None] = {}
        self._args: dict[str, str | None] = {}
        self._env: dict[str, str] = {}
        self._known = True  # whether nothing is set but what the text sets
        self._stages: dict[str, tuple[dict[str, str], bool]] = {}
        self._stage = ""

    def hosts(self, line: Instruction) -> Iterator[str]:
        """Take an instruction in; yield whom it asks."""
        keyword, value = line.keyword, _first(line.value)
        if keyword == "ONBUILD":
            inner, _, value = value.partition(" ")
            keyword = inner.upper()
        handle: Callable[[str], Iterator[str]] | None = {
            "FROM": self._from,
            "ADD": self._add,
            "COPY": self._copy,
            "RUN": self._run,
        }.get(keyword)
        if keyword == "ARG":
            self._set_args(value)
        elif keyword == "ENV":
            self._set_env(value)
        elif handle is not None:
            yield from handle(value)

    def _from(self, value: str) -> Iterator[str]:
        words = [word for word in value.split() if not word.startswith("--")]
        if not words:
            return
        image = self._filled(words[0], {**_PLATFORM, **self._global}, known=False)
        env, known = self._stages.get(image.lower(), ({}, image == "scratch"))
        if image.lower() not in self._stages and (host := _registry(image)) is not None:
            yield host
        self._env, self._known, self._args = dict(env), known, {}
        self._stage = words[2].lower() if len(words) > 2 else str(len(self._stages))
        self._stages[self._stage] = (self._env, known)

    def _add(self, value: str) -> Iterator[str]:
        *sources, _ = _words(value) or [""]
        for word in sources:
            if (host := _source(self._fill(word))) is not None:
                yield host

    def _copy(self, value: str) -> Iterator[str]:
        yield from self._images(value, r"--from=(\S+)")

    def _run(self, value: str) -> Iterator[str]:
        yield from self._images(value, r"--mount=(\S+)")

    def _images(self, value: str, flag: str) -> Iterator[str]:
        """Yield the registries of the images that flags before an instruction's words name."""
        for word in raw_words(value, self._escape) or value.split():
            if not word.startswith("--"):
                return
            match = re.fullmatch(flag, self._fill(word))
            named = match[1] if match else ""
            if match and "mount" in flag:
                source = _FROM.search(named)
                named = source[1] if source else ""
            if named and named.lower() not in self._stages and not named.isdecimal():
                host = _registry(named)
                if host is not None:
                    yield host

    def _set_args(self, value: str) -> None:
        for word in raw_words(value, self._escape) or ():
            name, given, text = word.partition("=")
            filled = self._fill(text) if given else self._global.get(name, _PLATFORM.get(name))
            (self._args if self._stages else self._global)[name] = filled

    def _set_env(self, value: str) -> None:
        words = raw_words(value, self._escape) or ()
        if words and "=" not in words[0]:
            name, _, text = value.partition(" ")
            words = (f"{name}={text.strip()}",)
        before = {word.partition("=")[0]: self._fill(word.partition("=")[2]) for word in words}
        self._env.update(before)

    def _fill(self, word: str) -> str:
        known = {**self._args, **self._env} if self._stages else {**_PLATFORM, **self._global}
        return self._filled(word, known, known=self._known)

    def _filled(self, word: str, values: Mapping[str, str | None], *, known: bool) -> str:
        """Return a word as the builder has it: quotation marks off, variables in their places."""
        done, quote, index = "", "", 0
        while index < len(word):
            if len(done) > LONGEST_VALUE:
                return _UNKNOWN
            char = word[index]
            after = word[index + 1 : index + 2]
            if char == self._escape and quote != "'" and after:
                done += after if not quote or after in ('"', "$", self._escape) else char + after
                index += 2
            elif char == quote:
                quote, index = "", index + 1
            elif char in "\"'" and not quote:
                quote, index = char, index + 1
            elif char == "$" and quote != "'":
                match = _VARIABLE.match(word, index)
                done += _UNKNOWN if match is None else self._value(match, values, known=known)
                index = match.end() if match else index + 1
            else:
                done, index = done + char, index + 1
        return done

    def _value(self, match: re.Match[str], values: Mapping[str, str | None], *, known: bool) -> str:
        name, how, other, pattern = match[1] or match[2], match[3] or "", match[4], match[5]
        if pattern or (name not in values and not known):
            return _UNKNOWN
        value = values.get(name)
        is_set = bool(value) if how.startswith(":") else value is not None
        if how.endswith("-") and not is_set:
            return self._filled(other, values, known=known)
        if how.endswith("+"):
            return self._filled(other, values, known=known) if is_set else ""
        return value or ""


def _words(value: str) -> list[str]:
    """Return what stands behind an ADD's options, words in quotes or a list."""
    while (match := re.match(r"--\S*\s*", value)) is not None:
        value = value[match.end() :]
    try:  # as the builder, which passes over what stands behind a list
        listed = json.JSONDecoder().raw_decode(value)[0] if value.startswith("[") else None
    except (ValueError, RecursionError):
        listed = None
    return [str(word) for word in listed] if isinstance(listed, list) else value.split()


def _source(word: str) -> str | None:
    """Return the host of what ADD names; None where it is a file of the folder."""
    match = _URL.match(word)
    if match is not None:
        return _host(match[2])
    if scp := _SCP.match(word):
        return scp[1]
    if _UNKNOWN in word.partition("/")[0]:
        return ""
    return "github.com" if word.startswith("github.com/") else None


def _host(authority: str) -> str:
    if _UNKNOWN in authority:
        return ""
    name = authority.rpartition("@")[2]
    return re.sub(r":\d*$", "", name)


def _registry(image: str) -> str | None:
    """Return the host of an image's registry; None where it is the engine's usual one."""
    first, slash, _ = image.partition("/")
    if _UNKNOWN in first:
        return ""
    if slash and (
        first.lower() == "localhost" or re.search(r"[.:]", first) or first != first.lower()
    ):
        return _host(first)
    return None
