"""evolution/: what the evolver is shown of the last attempts, and the log of all of them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, JsonValue

from grindstone.digest import canonical_json
from grindstone.files import write_atomic
from grindstone.untrusted import read_json

CURRENT = "current_observation.md"
LOG = "observations.jsonl"

Row = BaseModel | dict[str, JsonValue]


def write_observation(folder: Path, markdown: str, rows: Iterable[Row]) -> int:
    """Replace the current observation and append to the log.

    A row that the log holds already is not appended again, so a resumed run may repeat
    itself.

    Returns:
        How many rows were appended.
    """
    write_atomic(folder / CURRENT, markdown)
    path = folder / LOG
    known = {canonical_json(row) for row in read_jsonl(path)}
    lines = [line for line in map(canonical_json, rows) if line not in known]
    lines = list(dict.fromkeys(lines))
    if lines:
        with path.open("ab") as file:
            torn = path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
            file.write(("\n" * torn + "\n".join(lines) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
    return len(lines)


def recent_observations(folder: Path, count: int) -> tuple[dict[str, JsonValue], ...]:
    """Return the last rows of the log, the oldest first."""
    return tuple(read_jsonl(folder / LOG)[-count:]) if count > 0 else ()


def current_observation(folder: Path) -> str:
    """Return the current observation, empty where there is none."""
    path = folder / CURRENT
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def read_jsonl(path: Path) -> Sequence[dict[str, JsonValue]]:
    """Return a log's objects; lines that are none (torn by a kill) are left out."""
    if not path.is_file():
        return []
    rows: list[dict[str, JsonValue]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            row = read_json(line) if line.strip() else None
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
