"""The agent on disk: manifest, prompts, skills, memory, and the git history of both."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grindstone.workspace.changes import Change
    from grindstone.workspace.errors import WorkspaceError
    from grindstone.workspace.files import WorkspaceFiles
    from grindstone.workspace.manifest import Manifest
    from grindstone.workspace.workspace import EvolutionRef, Snapshot, Workspace

_HOMES = {
    "Change": "changes",
    "WorkspaceError": "errors",
    "Manifest": "manifest",
    "WorkspaceFiles": "files",
    "EvolutionRef": "workspace",
    "Snapshot": "workspace",
    "Workspace": "workspace",
}

__all__ = [
    "Change",
    "EvolutionRef",
    "Manifest",
    "Snapshot",
    "Workspace",
    "WorkspaceError",
    "WorkspaceFiles",
]


def __getattr__(name: str) -> object:
    """Import a public name's module when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(f"grindstone.workspace.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'grindstone.workspace' has no attribute {name!r}")
