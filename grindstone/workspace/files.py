"""What an agent reads of its workspace, in the workspace itself or in a frozen copy of it."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue

from grindstone.workspace.changes import FileEntry, read_folder
from grindstone.workspace.manifest import Manifest, read_manifest
from grindstone.workspace.observations import read_jsonl

MEMORIES = "memory/memories.jsonl"
"""The one file of memory/ that is read: a JSON object a line."""

MEMORY_KEYS = ("content", "text", "memory", "note")
"""Where a memory's sentence is looked for; the first is the one to write."""


def memory_of(row: Mapping[str, JsonValue]) -> str:
    """Return what a row of memories says, empty where none of `MEMORY_KEYS` holds a text."""
    found = (row.get(key) for key in MEMORY_KEYS)
    said = next((value for value in found if isinstance(value, str) and value.strip()), "")
    return said.strip().encode("utf-8", "replace").decode()  # JSON can spell half a character


class WorkspaceFiles:
    """Reads a folder that holds a workspace's files, with or without a history."""

    def __init__(self, root: Path) -> None:
        """Read below `root`; nothing is read before it is asked for."""
        self.root = root

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            InputError: It is absent or wrong, or names a prompt that is absent.
        """
        return read_manifest(self.root)

    def system_prompt(self) -> str:
        """Return the text of the prompt that the manifest names."""
        return (self.root / self.manifest.system_prompt).read_text(encoding="utf-8")

    def memories(self) -> tuple[str, ...]:
        """Return what the agent is to remember, the oldest first; rows that say nothing apart."""
        rows = read_jsonl(self.root / MEMORIES)
        return tuple(said for row in rows if (said := memory_of(row)))

    def tools(self) -> dict[str, bytes]:
        """Return the agent's own scripts by their path below tools/."""
        return {path: entry.content for path, entry in read_folder(self.root / "tools").items()}

    def entries(self) -> dict[str, FileEntry]:
        """Return all regular files by their path; no links, no history."""
        return read_folder(self.root)
