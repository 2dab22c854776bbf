"""Which tasks a run attempts."""

from pathlib import Path
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field

from grindstone.blocks.plain import PlainForm


class BenchmarkBlock(Block, PlainForm):
    """A folder of task folders and the filters that pick some of them."""

    _block_type_name: ClassVar[str] = "Grindstone Benchmark"
    _block_type_slug: ClassVar[str] = "grindstone-benchmark"
    _description: ClassVar[str] = "A collection of tasks in the Harbor / SkillsBench format."

    tasks_dir: Path | None = Field(None, description="Empty: the bundled example tasks.")
    category: list[str] = Field([], description="Only tasks of these categories.")
    difficulty: list[str] = Field([], description="Only tasks of these difficulties.")
    limit: int | None = Field(None, ge=1, description="At most this many tasks.")

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        return {
            "tasks_dir": self.tasks_dir,
            "category": self.category,
            "difficulty": self.difficulty,
            "limit": self.limit,
        }
