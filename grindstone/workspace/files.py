"""What an agent reads of its workspace, in the workspace itself or in a frozen copy of it."""

from functools import cached_property
from pathlib import Path

from grindstone.workspace.changes import Entry, read_folder
from grindstone.workspace.manifest import Manifest, read_manifest
from grindstone.workspace.observations import read_jsonl

MEMORIES = "memory/memories.jsonl"


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
        """Return what the agent is to remember, the oldest first."""
        rows = read_jsonl(self.root / MEMORIES)
        return tuple(str(row.get("content") or row.get("text") or "") for row in rows)

    def entries(self) -> dict[str, Entry]:
        """Return all regular files by their path; no links, no history."""
        return read_folder(self.root)
