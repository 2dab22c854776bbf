"""What a sandbox used, read from what the kernel and the file system count."""

import subprocess
from collections.abc import Sequence
from pathlib import Path


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


def _du(path: Path, what: str, entering: Sequence[str]) -> int:
    command = [*entering, "du", "-sx", what, "--", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return int(told[0]) if told and told[0].isdigit() else 0
