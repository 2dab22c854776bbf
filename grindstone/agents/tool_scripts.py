"""The scripts an agent has made for itself: laid into its sandbox, and one line on each."""

from collections.abc import Mapping
from typing import NamedTuple

from grindstone.sandbox.protocol import Sandbox

PLACE = "/root/.agents/tools"
LISTED = 50
"""Scripts named in the prompt; the others are there too, and their number is told."""

_SUMMARY_CHARS = 160
_HEAD_LINES = 20
_COMMENTS = ("#", "//", "--", ";", "%")
_QUOTES = ('"""', "'''")


class ToolScript(NamedTuple):
    """What an agent is told of one script."""

    path: str  # inside the sandbox
    summary: str  # its first words on itself, in one line; empty where it has none


async def lay_tools(sandbox: Sandbox, scripts: Mapping[str, bytes]) -> tuple[ToolScript, ...]:
    """Write scripts below `PLACE`, all of them executable; return them in the order of paths.

    Args:
        sandbox: Where to.
        scripts: Path below the workspace's tools/ → content.

    Raises:
        InfrastructureError: SANDBOX_IO, when they could not be written.
    """
    if not scripts:
        return ()
    await sandbox.write_files(
        {f"{PLACE}/{name}": content for name, content in scripts.items()}, mode=0o755
    )
    return tuple(ToolScript(f"{PLACE}/{name}", summary(scripts[name])) for name in sorted(scripts))


def summary(content: bytes) -> str:
    """Return the first line of a script's docstring or leading comment, empty without one."""
    quoted = False
    for line in content.decode("utf-8", "replace").splitlines()[:_HEAD_LINES]:
        text = line.strip()
        if not text or text.startswith("#!") or text.startswith("# -*-"):
            continue
        if not quoted:
            text, quoted = _opened(text)
            if not quoted and not text:
                return ""
        for quotes in _QUOTES:
            text = text.split(quotes, 1)[0]
        if words := " ".join(text.split()):
            shown = "".join(char for char in words if char.isprintable())
            return shown[:_SUMMARY_CHARS]
    return ""


def _opened(line: str) -> tuple[str, bool]:
    """Return what a comment or a docstring's first line says, and whether it is a docstring."""
    for prefix in _COMMENTS:
        if line.startswith(prefix):
            return line.lstrip(prefix).strip() or " ", False
    start = line.lstrip("rRuU")
    for quotes in _QUOTES:
        if start.startswith(quotes):
            return start[len(quotes) :], True
    return "", False
