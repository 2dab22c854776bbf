"""Where everything that is kept is kept."""

from pathlib import Path
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field


class LedgerBlock(Block):
    """The home folder of ledger, agents, runs and audit trail."""

    _block_type_name: ClassVar[str] = "Grindstone Ledger"
    _block_type_slug: ClassVar[str] = "grindstone-ledger"
    _description: ClassVar[str] = "The home folder shared by all runs on one file system."

    work_dir: Path = Field(Path("evolution_workdir"), description="Absolute path for workers.")

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        return {"work_dir": self.work_dir}
