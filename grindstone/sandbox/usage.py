"""What a sandbox used, read from what the kernel and the file system count."""

import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

_IN_MEMORY = ("/memfd:", "/dev/", "/SYSV")
"""Counted as memory."""


def kills_in(text: str) -> int:
    """Return the processes ended for memory, of a control group's file that counts them."""
    rows = (line.split() for line in text.splitlines())
    return next((int(row[1]) for row in rows if row[:1] == ["oom_kill"]), 0)


def taken(path: Path, entering: Sequence[str] = ()) -> tuple[int, int]:
    """Return the bytes and the number of files and folders below a folder; zeros if unreadable.

    Args:
        path: The folder.
        entering: The command that runs another where the folder can be read.
    """
    return _du(path, "--block-size=1", entering), _du(path, "--inodes", entering)


def held(first: int) -> int:
    """Return the bytes of files that a sandbox's processes hold open and that have no name.

    No walk through its folders finds them. Those that this user may not look into, and those
    that are only mapped or on their way through a socket, are not counted.

    Args:
        first: Any process of the sandbox's PID namespace.
    """
    try:
        inside = Path(f"/proc/{first}/ns/pid").stat().st_ino
    except OSError:
        return 0
    sizes: dict[tuple[int, int], int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "pid").stat().st_ino != inside:
                continue
            for descriptor in (process / "fd").iterdir():
                file = descriptor.stat()
                if (
                    stat.S_ISREG(file.st_mode)
                    and not file.st_nlink
                    and not str(descriptor.readlink()).startswith(_IN_MEMORY)
                ):
                    sizes[file.st_dev, file.st_ino] = file.st_blocks * 512
        except OSError:  # it ended, or is not ours to look into
            continue
    return sum(sizes.values())


def _du(path: Path, what: str, entering: Sequence[str]) -> int:
    command = [*entering, "du", "-sx", what, "--", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return int(told[0]) if told and told[0].isdigit() else 0
