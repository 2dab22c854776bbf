"""Where attempts run, and how many at once."""

from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field

from grindstone.blocks.plain import PlainForm
from grindstone.sandbox.registry import AUTO, AUTO_HELP, Choice


class SandboxBlock(Block, PlainForm):
    """The sandbox engine and how much of it a run may use."""

    _block_type_name: ClassVar[str] = "Grindstone Sandbox"
    _block_type_slug: ClassVar[str] = "grindstone-sandbox"
    _description: ClassVar[str] = "Docker, bubblewrap or pods, and how many attempts run at once."

    sandbox: Choice = Field(AUTO, description=AUTO_HELP)
    max_workers: int = Field(2, ge=1, le=64, description="Attempts that run at once.")
    timeout_multiplier: float = Field(
        1.0, gt=0, le=1000.0, allow_inf_nan=False, description="Scales every task's timeouts."
    )

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides."""
        return {
            "sandbox": self.sandbox,
            "max_workers": self.max_workers,
            "timeout_multiplier": self.timeout_multiplier,
        }
