"""Whose workspace evolves, and what it starts from."""

from pathlib import Path
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field

from grindstone.blocks.plain import PlainForm


class WorkspaceBlock(Block, PlainForm):
    """An agent by its id, with the seed it is copied from the first time."""

    _block_type_name: ClassVar[str] = "Grindstone Workspace"
    _block_type_slug: ClassVar[str] = "grindstone-workspace"
    _description: ClassVar[str] = "An agent's workspace: prompts, skills, memory, under git."

    agent_id: str = Field(
        "skillbench",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="Folder below agents/ in the home.",
    )
    seed_workspace: Path | None = Field(None, description="Empty: the bundled one.")

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        return {"agent_id": self.agent_id, "seed_workspace": self.seed_workspace}
