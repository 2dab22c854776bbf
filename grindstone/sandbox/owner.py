"""Whose a sandbox is: this process's, told apart from later ones with its number, and a run's."""

import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

_START_TIME_FIELD = 19
"""Index of `starttime` in /proc/PID/stat after the command's name (proc(5), field 22)."""


class Owner(NamedTuple):
    """The process that started a sandbox."""

    host: str
    pid: int
    started: str  # clock ticks since boot, as /proc prints them; empty where there is no /proc

    @classmethod
    def parse(cls, host: str, pid: str, started: str) -> Self | None:
        """Return the owner written in labels, None where they are damaged."""
        return cls(host, int(pid), started) if pid.isdigit() else None

    def alive(self) -> bool:
        """Whether the owner may still be there; owners on other hosts count as alive."""
        if self.host != this_host():
            return True
        now = start_time(self.pid)
        return now is not None and now == self.started


@cache
def this_host() -> str:
    """Name this machine and boot: process ids of an earlier boot mean nothing now."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip()[:8] if boot.exists() else ''}"


def start_time(pid: int) -> str | None:
    """Return when a process started, None when there is none (or only its zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _signalled(pid)
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[_START_TIME_FIELD]


def _signalled(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""


def this_process() -> Owner:
    """Return the running process as an owner; a forked child is another one."""
    return Owner(this_host(), os.getpid(), start_time(os.getpid()) or "")


def run_labels(home: Path, run_key: str) -> dict[str, str]:
    """Return what all sandboxes of a run carry; two homes may each have a run of that name."""
    return {"home": str(home.resolve()), "run_key": run_key}


def carries(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a sandbox's labels hold all of the wanted ones; false where none is wanted."""
    return bool(wanted) and wanted.items() <= found.items()
