"""What Prefect servers of tests complain about in their logs."""

import re
from collections.abc import Iterator
from pathlib import Path

COMPLAINT = re.compile(r"\b(ERROR|CRITICAL)\b|Traceback \(most recent call last\)|^\w*Error\b")
"""What a line must not hold: a record of that level, the head of a traceback, or its end."""

DEPTH = 5
"""A test's home lies at most this deep below the folder of all tests."""


def logs_below(folder: Path) -> Iterator[Path]:
    """Find servers' logs without walking through what runs leave beside them."""
    for depth in range(DEPTH):
        for log in folder.glob("/".join(["*"] * depth + ["server", "server.log"])):
            if log == log.resolve():  # pytest links to the newest folder of each name
                yield log


class ServerLogs:
    """The logs below a folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._read: dict[Path, int] = {}

    def complaints(self) -> list[str]:
        """Return the bad lines written since the last call, with a few lines around each."""
        found = []
        for log in logs_below(self.folder):
            start = self._read.get(log, 0)
            if log.stat().st_size == start:
                continue
            with log.open("rb") as opened:
                opened.seek(start)
                new = opened.read()
            self._read[log] = start + len(new)
            lines = new.decode(errors="replace").splitlines()
            for number, line in enumerate(lines):
                if COMPLAINT.search(line):
                    around = "\n".join(lines[max(0, number - 3) : number + 12])
                    found.append(f"{log}:\n{around}")
        return found
