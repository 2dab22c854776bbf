"""Installers that are given an address: what lies there runs, and nobody has looked at it."""

import re
from types import MappingProxyType

from grindstone.graduation.constitution.shell_command import Command

_INSTALLERS: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("pip", "pip3"), frozenset({"install", "download", "wheel"})),
        "uv": frozenset({"install", "run", "add", "tool"}),
        "pipx": frozenset({"install", "run", "inject"}),
        **dict.fromkeys(("uvx", "npx", "easy_install"), frozenset()),
        **dict.fromkeys(("npm", "pnpm"), frozenset({"install", "i", "add", "exec", "x"})),
        **dict.fromkeys(("yarn", "bun"), frozenset({"add", "dlx", "x", "install"})),
        **dict.fromkeys(("apt", "apt-get", "dnf", "yum", "apk"), frozenset({"install", "add"})),
        **dict.fromkeys(("dpkg", "rpm"), frozenset()),
        **dict.fromkeys(("conda", "mamba"), frozenset({"install", "create"})),
        "cargo": frozenset({"install"}),
        "brew": frozenset({"install"}),
        "gem": frozenset({"install"}),
        "poetry": frozenset({"add"}),
        "deno": frozenset({"run", "install"}),
    }
)
"""Programs that install or run packages, by the words that make them; none: whatever is said."""

_ADDRESS = re.compile(
    r"(^|[\s@=+])(git\+)?(?P<scheme>https?|git|ssh|ftp)://(?P<host>[^/\s:]+)"
    r"|^(git\+ssh://|github:|gitlab:|bitbucket:|gist:)",
    re.IGNORECASE,
)
_NEAR = re.compile(r"^(localhost|127\.|0\.0\.0\.0|\[?::1|host\.docker\.internal)")
_INDEX_OPTIONS = frozenset(
    {"--index-url", "--extra-index-url", "--index", "--default-index", "--find-links", "--cert"}
    | {"--registry", "--proxy", "--trusted-host", "--source", "--repository", "--channel"}
    | {"--constraint"}
)
"""Options whose address is that of an index, a proxy or a limit: no program lies there."""

_SHORT = frozenset({"-i", "-f", "-c"})
_HAVE_SHORT = frozenset({"pip", "pip3", "uv", "conda", "mamba"})


def installs_from_address(command: Command) -> bool:
    """Tell whether a command installs or runs a package from an address of the network."""
    words = command.words
    if re.fullmatch(r"python[\d.]*", command.program) and command.arguments[:1] == ("-m",):
        words = words[2:]
        command = command._replace(words=words)
    verbs = _INSTALLERS.get(command.program)
    if verbs is None or (verbs and not verbs & set(command.arguments)):
        return False
    index = _INDEX_OPTIONS | (_SHORT if command.program in _HAVE_SHORT else frozenset())
    given = [
        word
        for before, word in zip(("", *command.arguments), command.arguments, strict=False)
        if before not in index and word.partition("=")[0] not in index
    ]
    return any(map(_far, given))


def _far(word: str) -> bool:
    found = _ADDRESS.search(word)
    if found is None:
        return False
    host = (found["host"] or "").rpartition("@")[2]
    return not _NEAR.match(host)
