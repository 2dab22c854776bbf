"""What can go wrong with an agent's folder."""

from grindstone.errors import GrindstoneError


class WorkspaceError(GrindstoneError):
    """The workspace or its git history could not do what was asked; nothing was changed."""
