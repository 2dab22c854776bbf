"""Which agent works: a program of others, or a solver of one's own."""

from typing import Any, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import Field, model_validator

from grindstone.blocks.plain import PlainForm
from grindstone.settings import RunSettings

NAMING = ("agent", "agent_command", "solver")


class AgentBlock(Block, PlainForm):
    """An agent that is none of Grindstone's own loops; one of its fields names it."""

    _block_type_name: ClassVar[str] = "Grindstone Agent"
    _block_type_slug: ClassVar[str] = "grindstone-agent"
    _description: ClassVar[str] = "A command-line agent, or a solver of your own code."

    agent: str | None = Field(None, description=RunSettings.model_fields["agent"].description)
    agent_command: str | None = Field(
        None, description=RunSettings.model_fields["agent_command"].description
    )
    solver: str | None = Field(None, description=RunSettings.model_fields["solver"].description)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        given = [name for name in NAMING if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'none'} is given; expected one of {NAMING}")
        return self

    def settings(self) -> dict[str, Any]:
        """Return the run settings this block decides: who works, and so the profile."""
        return {name: getattr(self, name) or None for name in NAMING} | {"native_profile": None}
