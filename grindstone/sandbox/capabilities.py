"""What this machine has for sandboxes, and the command that brings what is missing."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pkgutil import resolve_name

from grindstone.base import Frozen
from grindstone.sandbox.registry import PROVIDERS, Kind, ProviderRow

PROBE_TIMEOUT_S = 20


class Tool(Frozen):
    """One thing sandboxes can use."""

    name: str
    works: bool
    version: str = ""
    detail: str = ""  # for bubblewrap: root or rootless
    reason: str = ""  # why it does not work
    remedy: str = ""  # a command that mends it; empty when it works


class Capabilities(Frozen):
    """What a `doctor` prints."""

    engines: Mapping[Kind, tuple[Tool, ...]]  # by kind: the engine, and what it can use
    tmux: Tool

    def engine(self, kind: Kind) -> Tool:
        """Return the engine of a kind."""
        return self.engines[kind][0]

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All of them, engines first within their kind."""
        return (*(tool for tools in self.engines.values() for tool in tools), self.tmux)

    @property
    def can_run_tasks(self) -> bool:
        """Whether any engine works."""
        return any(self.engine(kind).works for kind in self.engines)


def probe() -> Capabilities:
    """Look, without leaving anything behind; blocks for up to a few seconds."""
    engines = {row.kind: tuple(_looks(row)) for row in PROVIDERS}
    return Capabilities(engines=engines, tmux=_tmux())


def engine_of(row: ProviderRow) -> Tool:
    """Return a provider's engine, tried; what else it can use is not looked at."""
    return next(iter(_looks(row)))


def _looks(row: ProviderRow) -> Iterable[Tool]:
    looks: Iterable[Tool] = resolve_name(row.probe)()
    return looks


def _tmux() -> Tool:
    told = ask(["tmux", "-V"]) if shutil.which("tmux") else None
    if told is None or told.returncode != 0:
        return Tool(
            name="tmux", works=False, reason="not installed", remedy="sudo apt-get install tmux"
        )
    return Tool(name="tmux", works=True, version=told.stdout.split()[-1])


def ask(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a command that tells about itself; None when it cannot or does not end."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
