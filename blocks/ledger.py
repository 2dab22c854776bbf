"""Where everything that is kept is kept."""

from pathlib import Path
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, field_validator

from grindstone.blocks.plain import PlainForm


class LedgerBlock(Block, PlainForm):
    """The home folder of ledger, agents, runs and audit trail."""

    _block_type_name: ClassVar[str] = "Grindstone Ledger"
    _block_type_slug: ClassVar[str] = "grindstone-ledger"
    _description: ClassVar[str] = "The home folder shared by all runs on one file system."

    work_dir: Path = Field(
        description="The folder, as an absolute path: a worker's own folder is another one.",
        json_schema_extra={"pattern": "^/"},
    )

    @field_validator("work_dir")
    @classmethod
    def _is_absolute(cls, given: Path) -> Path:
        if not given.is_absolute():
            raise ValueError(f"is {given}; expected an absolute path")
        return given

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        return {"work_dir": self.work_dir}
